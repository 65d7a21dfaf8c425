use std::{convert::Infallible, sync::Mutex, time::Duration};

use http::Request;
use kube::client::Body;
use resources::kind::{GROUP, HTTP_ROUTE, REFERENCE_GRANT, ROUTE};

use super::{
    ask::read_document,
    follower::{DEBOUNCE, RETRIES},
    news::News,
    *,
};

type Reply = (u16, String);

/// A client whose server answers by path; code 0 means never.
fn server<F>(answer: F) -> (Client, Arc<Mutex<Vec<String>>>)
where
    F: Fn(&str, usize) -> Reply + Clone + Send + 'static,
{
    let log = Arc::new(Mutex::new(Vec::new()));
    let service = {
        let log = Arc::clone(&log);
        tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            let earlier = {
                let mut log = log.lock().unwrap();
                log.push(path.clone());
                log.iter().filter(|asked| **asked == path).count() - 1
            };
            reply(answer(&path, earlier))
        })
    };
    (Client::new(service, "default"), log)
}

async fn reply((code, body): Reply) -> Result<http::Response<Body>, Infallible> {
    if code == 0 {
        std::future::pending::<()>().await;
    }
    let body = Body::from(body.into_bytes());
    Ok(http::Response::builder().status(code).body(body).unwrap())
}

fn serves(plurals: &[&str]) -> Reply {
    let resources: Vec<_> = plurals
        .iter()
        .map(|name| {
            serde_json::json!({
                "name": name, "singularName": "", "namespaced": true, "kind": "K", "verbs": [],
            })
        })
        .collect();
    let list = serde_json::json!({"groupVersion": "g/v", "resources": resources});
    (200, list.to_string())
}

fn fails(code: u16) -> Reply {
    let status = serde_json::json!({
        "kind": "Status", "status": "Failure", "message": "no", "reason": "no", "code": code,
    });
    (code, status.to_string())
}

const KINDS: &[Kind] = &[ROUTE, GROUP, HTTP_ROUTE, REFERENCE_GRANT];

/// A follower that knows of Routes, and the mouth of its inbox.
fn follower(client: Client) -> (mpsc::Sender<News>, watch::Receiver<Arc<Capabilities>>) {
    let (served, capabilities) = watch::channel(Arc::new(Capabilities::of([ROUTE])));
    let (news, inbox) = mpsc::channel(64);
    let follower = Follower {
        client,
        interest: Interest::new(KINDS),
        served,
        seen: BTreeMap::new(),
        due: BTreeMap::new(),
        asked: BTreeSet::new(),
        asking: JoinSet::new(),
    };
    tokio::spawn(follower.run(inbox));
    (news, capabilities)
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

async fn settle() {
    tokio::time::sleep(Duration::from_mins(1)).await;
}

#[test]
fn objects_are_about_the_versions_that_they_serve() {
    let interest = Interest::new(KINDS);
    let version = |group: &str, version: &str| (group.to_owned(), version.to_owned());
    assert_eq!(
        interest.about(CRDS, "referencegrants.gateway.networking.k8s.io"),
        [version("gateway.networking.k8s.io", "v1beta1")].into()
    );
    assert_eq!(
        interest.about(API_SERVICES, "v1.route.openshift.io"),
        [version("route.openshift.io", "v1")].into()
    );
    for (kind, name) in [
        (CRDS, "gateways.gateway.networking.k8s.io"),
        (CRDS, "v1.route.openshift.io"),
        (API_SERVICES, "v2.route.openshift.io"),
        (API_SERVICES, "v1."),
    ] {
        assert!(interest.about(kind, name).is_empty(), "{name}");
    }
}

#[test]
fn the_document_of_all_groups_is_read_and_a_stale_part_is_asked_again() {
    let document = serde_json::from_value(serde_json::json!({"items": [
        {"metadata": {"name": "apps"}, "versions": [
            {"version": "v1", "resources": [{"resource": "deployments"}]},
        ]},
        {"metadata": {"name": "gateway.networking.k8s.io"}, "versions": [
            {"version": "v1", "resources": [{"resource": "httproutes"}, {"resource": "gateways"}]},
        ]},
        {"metadata": {"name": "user.openshift.io"}, "versions": [
            {"version": "v1", "resources": [], "freshness": "Stale"},
        ]},
    ]}))
    .unwrap();
    let (found, pending) = read_document(&document, &Interest::new(KINDS));
    let mut expected = Capabilities::of([HTTP_ROUTE]);
    expected.doubt("user.openshift.io", "v1");
    assert_eq!(found, expected);
    assert_eq!(
        pending,
        [("user.openshift.io".to_owned(), "v1".to_owned())].into()
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_when_the_list_shows_what_is_known() {
    let (client, log) = server(|_, _| serves(&[]));
    let (news, _capabilities) = follower(client);
    news.send(News::Listed(
        CRDS,
        names(&["routes.route.openshift.io", "a.b"]),
    ))
    .await
    .unwrap();
    news.send(News::Listed(
        API_SERVICES,
        names(&["v1.route.openshift.io"]),
    ))
    .await
    .unwrap();
    settle().await;
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn events_of_a_new_crd_are_one_request() {
    let (client, log) = server(|_, _| serves(&["httproutes", "gateways"]));
    let (news, capabilities) = follower(client);
    for _ in 0..3 {
        let name = "httproutes.gateway.networking.k8s.io".to_owned();
        news.send(News::Changed(CRDS, name)).await.unwrap();
        tokio::time::sleep(DEBOUNCE / 3).await;
    }
    settle().await;
    assert_eq!(
        log.lock().unwrap().as_slice(),
        ["/apis/gateway.networking.k8s.io/v1"]
    );
    assert_eq!(
        **capabilities.borrow(),
        Capabilities::of([ROUTE, HTTP_ROUTE])
    );
}

#[tokio::test(start_paused = true)]
async fn a_crd_that_is_not_served_yet_is_asked_again() {
    let (client, log) = server(|_, earlier| {
        if earlier < 2 {
            fails(404)
        } else {
            serves(&["httproutes"])
        }
    });
    let (news, capabilities) = follower(client);
    let name = "httproutes.gateway.networking.k8s.io".to_owned();
    news.send(News::Changed(CRDS, name)).await.unwrap();
    settle().await;
    assert_eq!(log.lock().unwrap().len(), 3);
    assert!(capabilities.borrow().has(HTTP_ROUTE));
}

#[tokio::test(start_paused = true)]
async fn retries_end() {
    let (client, log) = server(|_, _| serves(&["gateways"]));
    let (news, _capabilities) = follower(client);
    let name = "httproutes.gateway.networking.k8s.io".to_owned();
    news.send(News::Changed(CRDS, name)).await.unwrap();
    settle().await;
    settle().await;
    assert_eq!(log.lock().unwrap().len(), 1 + RETRIES as usize);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_goes_away_is_forgotten_and_one_that_fails_is_not() {
    let (client, _log) = server(|_, earlier| if earlier < 10 { fails(503) } else { fails(404) });
    let (news, capabilities) = follower(client);
    let changed = || News::Changed(API_SERVICES, "v1.route.openshift.io".to_owned());
    news.send(News::Listed(
        API_SERVICES,
        names(&["v1.route.openshift.io"]),
    ))
    .await
    .unwrap();
    news.send(changed()).await.unwrap();
    settle().await;
    assert!(capabilities.borrow().has(ROUTE));
    news.send(changed()).await.unwrap();
    settle().await;
    assert!(!capabilities.borrow().has(ROUTE));
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_answer_delays_no_other() {
    let (client, _log) = server(|path, _| {
        if path.contains("user.openshift.io") {
            (0, String::new())
        } else {
            serves(&["httproutes"])
        }
    });
    let (news, mut capabilities) = follower(client);
    news.send(News::Changed(CRDS, "groups.user.openshift.io".to_owned()))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let name = "httproutes.gateway.networking.k8s.io".to_owned();
    news.send(News::Changed(CRDS, name)).await.unwrap();
    let has = capabilities.wait_for(|served| served.has(HTTP_ROUTE));
    tokio::time::timeout(Duration::from_secs(1), has)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_watches_an_unanswered_api_is_still_asked_now_and_then() {
    let (client, log) = server(|_, _| fails(503));
    let (news, _capabilities) = follower(client);
    news.send(News::Changed(CRDS, "groups.user.openshift.io".to_owned()))
        .await
        .unwrap();
    drop(news);
    tokio::time::sleep(Duration::from_hours(1)).await;
    let asked = log.lock().unwrap().len();
    assert!((15..=20).contains(&asked), "{asked}");
}

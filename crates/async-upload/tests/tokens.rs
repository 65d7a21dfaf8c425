//! Registries that want tokens of another server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod fakes;
mod servers;

use async_upload::settings::{Destination, Http, OciAuth, OciImage, Secret, Source, Tls, Transfer};
use fakes::tokens::{Asked, Denial, PASSWORD, REFRESH, Rules, Tokens, USER};
use servers::front::{Trouble, front};
use servers::web::{How, web};
use servers::{Access, Server, content, files, registry, run, to_image};
use tempfile::TempDir;

/// A registry that wants tokens, one that wants none, and a model.
struct Place {
    tokens: Tokens,
    locked: Server,
    open: Server,
    dir: TempDir,
}

const MODEL: usize = 1_500_000;

impl Place {
    async fn new(rules: Rules) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("m")).unwrap();
        std::fs::write(dir.path().join("m/w.bin"), content(1, MODEL)).unwrap();
        let tokens = Tokens::start(rules).await;
        let locked = registry(&Access {
            tokens: Some(tokens.line(dir.path())),
            ..Access::default()
        });
        Self {
            tokens,
            locked,
            open: registry(&Access::default()),
            dir,
        }
    }

    fn model(&self) -> Source {
        Source::Dir(self.dir.path().join("m"))
    }

    fn image(&self, path: &str, auth: OciAuth) -> OciImage {
        let reference = format!("{}/{path}", self.locked.address);
        OciImage {
            reference: reference.parse().unwrap(),
            auth,
            tls: Tls {
                verify: false,
                ca_files: Vec::new(),
            },
        }
    }

    fn to(&self, source: Source, path: &str, auth: OciAuth) -> Transfer {
        let image = self.image(path, auth);
        let mut transfer = to_image(source, &format!("{}/{path}", self.locked.address), None);
        match &mut transfer.destination {
            Destination::Oci(destination) => destination.image = image,
            Destination::S3(_) => panic!("no image"),
        }
        transfer.retries = 1;
        transfer
    }

    /// What is in an image of the registry that wants tokens.
    async fn content(&self, path: &str) -> Vec<u8> {
        let copy = format!("{}/{path}", self.open.address);
        let source = Source::Oci(self.image(path, password(PASSWORD)));
        run(&to_image(source, &copy, None)).await.unwrap();
        files(&copy).swap_remove(0).3
    }
}

fn password(password: &str) -> OciAuth {
    OciAuth::Basic {
        username: USER.to_owned(),
        password: Secret::new(password),
    }
}

fn asked(method: &str, scopes: &[&str]) -> Asked {
    Asked {
        method: method.to_owned(),
        service: "registry.example.test".to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        known: true,
    }
}

#[tokio::test]
async fn a_token_is_for_the_service_and_the_scopes_that_the_registry_names() {
    let place = Place::new(Rules::default()).await;
    run(&place.to(place.model(), "org/m:v1", password(PASSWORD)))
        .await
        .unwrap();
    let questions = place.tokens.asked();
    assert!(
        questions.contains(&asked(
            "GET",
            &["repository:org/m:pull", "repository:org/m:pull,push"]
        )),
        "{questions:?}"
    );
    assert!(questions.len() < 10, "{questions:?}");
    assert!(place.content("org/m:v1").await == content(1, MODEL));
}

#[tokio::test]
async fn a_refresh_token_is_posted_and_its_answer_has_another_name() {
    let place = Place::new(Rules {
        field: "access_token",
        ..Rules::default()
    })
    .await;
    let auth = OciAuth::IdentityToken(Secret::new(REFRESH));
    run(&place.to(place.model(), "org/m:v1", auth))
        .await
        .unwrap();
    assert!(
        place
            .tokens
            .asked()
            .iter()
            .all(|asked| asked.method == "POST" && asked.known)
    );
    assert!(place.content("org/m:v1").await == content(1, MODEL));
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let place = Place::new(Rules {
        closed: &["org/closed"],
        ..Rules::default()
    })
    .await;
    for (path, auth) in [
        ("org/m:v1", password("wr0ng")),
        ("org/m:v1", OciAuth::Anonymous),
        ("org/closed:v1", password(PASSWORD)),
    ] {
        let error = run(&place.to(place.model(), path, auth.clone()))
            .await
            .unwrap_err();
        assert!(error.cause.contains("401"), "{auth:?}: {error}");
        assert!(error.remedy.contains("credentials"), "{auth:?}: {error}");
        assert!(!error.retriable, "{auth:?}: {error}");
        let text = format!("{error:?}");
        assert!(
            !text.contains("wr0ng") && !text.contains("s3cret"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_while_content_is_on_its_way_is_renewed() {
    // Whatever it was told, the client has these tokens for 3 s only.
    let place = Place::new(Rules {
        life: 3,
        ..Rules::default()
    })
    .await;
    let weights = content(2, 24 << 20);
    let web = web().await;
    web.serve("/w.bin", How::Whole, weights.clone());
    // At most 5 MB a second, in one request: it takes longer than a token lives.
    let slow = front(&web.address, None, |_, _| Trouble::Slow).await;
    let url = format!("http://{}/w.bin", slow.address).parse().unwrap();
    let source = Source::Http(Http {
        url,
        tls: Tls::default(),
        token: None,
    });
    let before = std::time::Instant::now();
    run(&place.to(source, "org/m:v1", password(PASSWORD)))
        .await
        .unwrap();
    assert!(before.elapsed().as_secs() > 3);
    assert!(place.tokens.asked().len() > 2, "{:?}", place.tokens.asked());
    assert!(place.content("org/m:v1").await == weights);
}

#[tokio::test]
async fn a_mount_asks_for_the_scope_of_the_other_repository() {
    let place = Place::new(Rules::default()).await;
    run(&place.to(place.model(), "old/m:v1", password(PASSWORD)))
        .await
        .unwrap();
    let outcome = run(&mounting(&place)).await.unwrap();
    assert_eq!(outcome.sent, 0);
    let wanted = "repository:old/m:pull".to_owned();
    assert!(
        place.tokens.asked().iter().any(|asked| {
            asked.scopes.contains(&wanted)
                && asked.scopes.iter().any(|scope| scope.contains("new/m"))
        }),
        "{:?}",
        place.tokens.asked()
    );
    assert!(place.content("new/m:v1").await == content(1, MODEL));
}

#[tokio::test]
async fn where_the_other_repository_is_closed_the_content_is_sent() {
    for denial in [Denial::LeaveOut, Denial::Refuse] {
        let place = Place::new(Rules {
            closed: &["old/m"],
            denial,
            ..Rules::default()
        })
        .await;
        let outcome = run(&mounting(&place)).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{denial:?}: {error}"));
        assert_eq!(outcome.sent, MODEL as u64, "{denial:?}");
        assert!(place.content("new/m:v1").await == content(1, MODEL));
    }
}

fn mounting(place: &Place) -> Transfer {
    let mut transfer = place.to(place.model(), "new/m:v1", password(PASSWORD));
    match &mut transfer.destination {
        Destination::Oci(destination) => destination.mount_from = Some("old/m".to_owned()),
        Destination::S3(_) => panic!("no image"),
    }
    transfer
}

//! On real API servers, plain Kubernetes and the stand-in for OpenShift.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cluster::{Cluster, Platform, api_of, conditions, eventually, until};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use model_registry_operator::PROCESS;
use model_registry_operator::catalog::webhook;
pub(crate) use operator_harness::SOON;
use operator_harness::{
    Account, COLLECTED, Installation, Operator, args, at_rest, free_ports, has_read, lead_to, root,
};
use resources::Kind;
use resources::kind::{
    AUTH, CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, HTTP_ROUTE, NETWORK_POLICY,
    REFERENCE_GRANT, ROLE, ROLE_BINDING, ROUTE, SECRET, SERVICE, SERVICE_ACCOUNT,
};
use runtime::operator::Beside;
use serde_json::{Value, json};

use crate::offline::component;

const ACCOUNT: Account = (
    "model-catalog-operator-system",
    "catalog-controller-manager",
);
pub(crate) const CATALOG: Kind =
    Kind::namespaced("aihub.opendatahub.io", "v1alpha1", "Catalog", "catalogs");

/// A cluster of its own with the overlay installed and the program running.
pub(crate) struct World {
    cluster: Cluster,
    client: Client,
    namespace: String,
    pub(crate) kubeconfig: PathBuf,
    env: Vec<(&'static str, &'static str)>,
    port: u16,
    operator: Option<Operator>,
}

const INSTALLATION: Installation = Installation {
    folder: "config/model-registry-operator/overlays/catalog",
    definition: "config/model-registry-operator/overlays/catalog/aihub.opendatahub.io_catalogs.yaml",
    account: ACCOUNT,
    kind: CATALOG,
};

impl World {
    pub(crate) async fn start(platform: Platform, env: &[(&'static str, &'static str)]) -> Self {
        let cluster = INSTALLATION.start(platform).await;
        let kubeconfig = INSTALLATION.install(&cluster).await;
        let [port] = free_ports();
        let configuration = ("validatingwebhookconfiguration", webhook::CONFIGURATION);
        lead_to(&cluster, port, (ACCOUNT.0, webhook::SERVICE), configuration).await;
        let mut world = Self {
            port,
            client: cluster.client().unwrap(),
            namespace: cluster.namespace("catalog").await.unwrap(),
            cluster,
            kubeconfig,
            env: env.to_vec(),
            operator: None,
        };
        world.run();
        world
    }

    pub(crate) fn run(&mut self) {
        let component = component(&self.env);
        let beside = Beside {
            webhooks: Some(webhook::webhooks(component.config.clone())),
            ..Beside::default()
        };
        let address = format!("--webhook-bind-address=127.0.0.1:{}", self.port);
        let args = args(&self.kubeconfig, &[&address]);
        self.operator = Some(Operator::start(PROCESS, args, component, beside));
    }

    pub(crate) fn stop(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.stop();
        }
    }

    fn of(&self, kind: Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        api_of(&self.client, namespace, kind)
    }

    pub(crate) fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let namespaced = kind.scope == resources::Scope::Namespaced;
        self.of(kind, namespaced.then_some(self.namespace.as_str()))
    }

    pub(crate) async fn apply(&self, object: Value) {
        cluster::apply_yaml(&self.client, &self.namespace, &object.to_string())
            .await
            .unwrap();
    }

    /// Applies the sample as soon as the webhook answers.
    pub(crate) async fn sample(&self) {
        let folder = root().join("samples/model-registry/catalog");
        let folder = folder.to_str().unwrap();
        eventually("the sample is applied", SOON, || async {
            let args = ["apply", "-n", &self.namespace, "-k", folder];
            let applied = self.cluster.kubectl(&args).await;
            applied.map_err(|error| error.to_string())
        })
        .await
        .unwrap();
    }

    pub(crate) async fn available(&self, status: &str) -> Value {
        let api = self.api(CATALOG);
        eventually(
            &format!("Available={status}"),
            Duration::from_mins(1),
            || async {
                let all = api.list(&ListParams::default()).await;
                let all = all.map_err(|error| error.to_string())?;
                let object = all.items.first().ok_or("no catalog")?;
                let found = conditions(&object.data)
                    .find(|c| c["type"] == "Available" && c["status"] == status);
                found
                    .filter(|c| c["observedGeneration"] == json!(object.metadata.generation))
                    // Nothing else is said when all is well.
                    .filter(|_| conditions(&object.data).count() == 2)
                    .cloned()
                    .ok_or_else(|| object.data["status"].to_string())
            },
        )
        .await
        .unwrap()
    }

    pub(crate) async fn until(
        &self,
        kind: Kind,
        name: &str,
        holds: impl Fn(Option<&DynamicObject>) -> bool,
    ) -> Option<DynamicObject> {
        until(&self.api(kind), name, SOON, holds).await.unwrap()
    }

    /// Objects with the labels of the catalog's, everywhere but Events.
    async fn traces(&self, kinds: &[Kind]) -> Vec<String> {
        let mut found = Vec::new();
        for &kind in kinds {
            let list = self.of(kind, None).list(&ListParams::default()).await;
            for object in list.unwrap() {
                let ours = object
                    .labels()
                    .get("app")
                    .is_some_and(|app| app == "model-catalog")
                    || object.name_any() == "allow-gateway-httproutes";
                if ours {
                    found.push(format!("{kind} {}", object.name_any()));
                }
            }
        }
        found.sort();
        found
    }

    /// Names and versions of the objects of the namespace.
    pub(crate) async fn versions(&self, kinds: &[Kind]) -> Vec<(Kind, Vec<String>)> {
        let mut found = Vec::new();
        for &kind in kinds {
            found.push((kind, cluster::versions(&self.api(kind)).await.unwrap()));
        }
        found
    }

    /// Deletes every child, one after the other: each comes back.
    pub(crate) async fn every_child_returns(&self, kinds: &[Kind]) {
        for &kind in kinds {
            let api = self.api(kind);
            let list = api.list(&ListParams::default()).await.unwrap();
            let ours: Vec<_> = list
                .into_iter()
                .filter(|object| {
                    object
                        .labels()
                        .get("app")
                        .is_some_and(|a| a == "model-catalog")
                })
                .collect();
            assert!(!ours.is_empty(), "{kind}");
            for object in ours {
                let name = object.name_any();
                api.delete(&name, &DeleteParams::background())
                    .await
                    .unwrap();
                let started = Instant::now();
                self.until(kind, &name, |back| {
                    back.is_some_and(|back| back.uid() != object.uid())
                })
                .await;
                let took = started.elapsed();
                assert!(took < Duration::from_secs(5), "{kind} {name}: {took:?}");
            }
        }
        self.available("True").await;
    }

    async fn delete(&self, kinds: &[Kind]) {
        self.api(CATALOG)
            .delete("catalog", &DeleteParams::background())
            .await
            .unwrap();
        let left = [
            "ConfigMap agent-catalog-sources",
            "ConfigMap mcp-catalog-sources",
            "ConfigMap model-catalog-sources",
        ];
        eventually("only the user's sources are left", COLLECTED, || async {
            let traces = self.traces(kinds).await;
            if traces == left {
                Ok(())
            } else {
                Err(traces.join(", "))
            }
        })
        .await
        .unwrap();
    }
}

pub(crate) const EVERYWHERE: &[Kind] = &[
    SERVICE_ACCOUNT,
    CONFIG_MAP,
    SECRET,
    SERVICE,
    DEPLOYMENT,
    NETWORK_POLICY,
    ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE_BINDING,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_lives_on_kubernetes() {
    let mut world = World::start(Platform::Kubernetes, &[]).await;
    world.sample().await;
    world.available("True").await;
    let deployment = world
        .until(DEPLOYMENT, "model-catalog", |d| d.is_some())
        .await;
    let args = &deployment.unwrap().data["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(
        args.to_string()
            .contains("/data/labeled-sources/team-models/sources.yaml"),
        "{args}"
    );
    world.every_child_returns(EVERYWHERE).await;

    // The user's own stay as the user wants them, and another operator process writes nothing.
    let edit = json!({"data": {"sources.yaml": "catalogs: [{id: mine}]"}});
    world
        .api(CONFIG_MAP)
        .patch(
            "model-catalog-sources",
            &PatchParams::default(),
            &Patch::Merge(edit),
        )
        .await
        .unwrap();
    at_rest(&world.cluster, ACCOUNT).await;
    world.stop();
    let before = world.versions(EVERYWHERE).await;
    let mark = world.cluster.audit_mark().await.unwrap();
    world.run();
    // A Deployment that was changed since is known by its last apply.
    let mut read_anew = EVERYWHERE.to_vec();
    read_anew.retain(|kind| *kind != DEPLOYMENT);
    has_read(&world.cluster, mark, ACCOUNT, &read_anew).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.versions(EVERYWHERE).await, before);
    let own = world
        .until(CONFIG_MAP, "model-catalog-sources", |m| m.is_some())
        .await;
    assert_eq!(
        own.unwrap().data["data"]["sources.yaml"],
        "catalogs: [{id: mine}]"
    );
    world.delete(EVERYWHERE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_lives_behind_a_gateway_on_openshift() {
    let gateway = [
        ("GATEWAY_DOMAIN", "gw.example.test"),
        ("HTTPROUTE_NAMESPACE", "applications"),
    ];
    let world = World::start(Platform::OpenShift, &gateway).await;
    world
        .apply(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "applications"}}),
        )
        .await;
    let auth = |groups: Value| {
        json!({"apiVersion": "services.platform.opendatahub.io/v1alpha1", "kind": "Auth",
            "metadata": {"name": "auth"}, "spec": {"adminGroups": groups, "allowedGroups": []}})
    };
    world.apply(auth(json!(["admins"]))).await;
    world.sample().await;
    world.available("True").await;
    world
        .until(ROLE_BINDING, "model-catalog-admin-binding", |b| b.is_some())
        .await;
    world.apply(auth(json!([]))).await;
    world
        .until(ROLE_BINDING, "model-catalog-admin-binding", |b| b.is_none())
        .await;
    let route = world.of(HTTP_ROUTE, Some("applications"));
    let route = route.get("model-catalog").await.unwrap();
    assert_eq!(
        route.data["spec"]["rules"][0]["backendRefs"][0]["port"],
        8443
    );
    let mut kinds = EVERYWHERE.to_vec();
    kinds.retain(|kind| *kind != SECRET);
    kinds.push(ROUTE);
    world.every_child_returns(&kinds).await;
    at_rest(&world.cluster, ACCOUNT).await;
    kinds.extend([SECRET, HTTP_ROUTE, REFERENCE_GRANT]);
    world.delete(&kinds).await;
    assert_eq!(AUTH.scope, resources::Scope::Cluster);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_there_before_is_taken_over() {
    let world = World::start(Platform::Kubernetes, &[]).await;
    let labels = json!({"app": "model-catalog", "app.kubernetes.io/created-by": "model-registry-operator",
        "app.kubernetes.io/part-of": "model-catalog"});
    let old = |kind: &str, name: &str, more: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": labels,
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "former", "controller": true,
                "uid": "11111111-2222-4333-8444-555555555555"}]}});
        object
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        object
    };
    // A former owner that exists, or the garbage collector comes first.
    world
        .apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "former"}}))
        .await;
    let former = world.api(CONFIG_MAP).get("former").await.unwrap();
    for mut object in [
        old("ServiceAccount", "model-catalog", json!({})),
        old(
            "ConfigMap",
            "default-catalog-sources",
            json!({"data": {"sources.yaml": "catalogs: []"}}),
        ),
        old("ConfigMap", "model-catalog-default-sources", json!({})),
    ] {
        object["metadata"]["ownerReferences"][0]["uid"] = json!(former.uid());
        world.apply(object).await;
    }
    world
        .apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "model-catalog-sources", "labels": labels},
            "data": {"sources.yaml": "catalogs: [{id: default_catalog}, {id: mine}]", "mine.yaml": "m"}}))
        .await;
    world
        .apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "model-catalog-postgres"},
            "stringData": {"database-password": "kept"}}))
        .await;
    world.sample().await;
    world.available("True").await;
    for (kind, name) in [
        (SERVICE_ACCOUNT, "model-catalog"),
        (CONFIG_MAP, "default-catalog-sources"),
        (SECRET, "model-catalog-postgres"),
    ] {
        let object = world.api(kind).get(name).await.unwrap();
        let owners = object.owner_references();
        assert_eq!(owners.len(), 1, "{kind} {name}: {owners:?}");
        assert_eq!(owners[0].kind, "Catalog", "{kind} {name}");
    }
    let secret = world
        .api(SECRET)
        .get("model-catalog-postgres")
        .await
        .unwrap();
    assert_eq!(secret.data["data"]["database-password"], "a2VwdA==");
    assert_eq!(secret.data["data"]["database-user"], "Y2F0YWxvZ191c2Vy");
    world
        .until(CONFIG_MAP, "model-catalog-default-sources", |m| m.is_none())
        .await;
    let own = world
        .api(CONFIG_MAP)
        .get("model-catalog-sources")
        .await
        .unwrap();
    assert_eq!(own.data["data"]["mine.yaml"], "m");
    let file = own.data["data"]["sources.yaml"].as_str().unwrap();
    assert!(
        !file.contains("default_catalog") && file.contains("mine"),
        "{file}"
    );
    world.delete(&[DEPLOYMENT, CONFIG_MAP, SECRET]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_name_is_refused_and_makes_nothing_where_nobody_refuses_it() {
    let world = World::start(Platform::Kubernetes, &[]).await;
    let other = json!({"apiVersion": "aihub.opendatahub.io/v1alpha1", "kind": "Catalog", "metadata": {"name": "other"}});
    let sentence = "catalog resource name must be 'catalog'";
    eventually("an answer of the webhook", SOON, || async {
        let created =
            cluster::apply_yaml(&world.client, &world.namespace, &other.to_string()).await;
        let error = created.expect_err("refused").to_string();
        if error.contains(sentence) {
            Ok(())
        } else {
            Err(error)
        }
    })
    .await
    .unwrap();
    // One in the right form is not asked about again, and what is deleted goes without an answer.
    world.sample().await;
    world.available("True").await;
    world
        .cluster
        .kubectl(&[
            "delete",
            "validatingwebhookconfiguration",
            webhook::CONFIGURATION,
        ])
        .await
        .unwrap();
    world.delete(EVERYWHERE).await;

    world.apply(other).await;
    let condition = world.available("False").await;
    let message = condition["message"].as_str().unwrap();
    assert!(message.ends_with(sentence), "{message}");
    let left = world.traces(EVERYWHERE).await;
    assert!(
        left.iter().all(|trace| trace.ends_with("-catalog-sources")),
        "{left:?}"
    );
}

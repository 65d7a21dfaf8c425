//! What the dashboard of Open Data Hub does with a registry, line by line: it creates, edits and
//! deletes them, hands out their Role, finds their Services and reads their status. It acts as a
//! service account with the rights that its manifests give it, and no more.

#![expect(clippy::too_many_lines, reason = "a page is one story")]

mod discovery;
mod grants;
mod label;

use std::collections::BTreeMap;

use cluster::{Platform, api_of, eventually};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use operator_harness::SOON;
use resources::kind::{DEPLOYMENT, SECRET, SERVICE};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::harness::{MODEL_REGISTRY, World, world};

const DASHBOARD: (&str, &str) = ("dashboard", "odh-dashboard");

/// The dashboard's own rights, cluster-wide. None of them is `bind` or `escalate`.
const RIGHTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: dashboard}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: odh-dashboard, namespace: dashboard}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: odh-dashboard}
rules:
- {apiGroups: [modelregistry.opendatahub.io], resources: [modelregistries], verbs: [get, list, watch, create, update, patch, delete]}
- {apiGroups: [rbac.authorization.k8s.io], resources: [rolebindings, roles], verbs: [list, get, create, patch, delete]}
- {apiGroups: [''], resources: [services], verbs: [get, list]}
- {apiGroups: [''], resources: [endpoints], verbs: [get]}
- {apiGroups: [''], resources: [configmaps], verbs: [get, list]}
- {apiGroups: [user.openshift.io], resources: [groups], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: odh-dashboard}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: odh-dashboard}
subjects: [{kind: ServiceAccount, name: odh-dashboard, namespace: dashboard}]
";

/// What an installation gives it in the namespace of registries.
const CREDENTIALS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: dashboard-credentials}
rules:
- {apiGroups: [''], resources: [secrets], verbs: [get, list, create, patch, delete]}
- {apiGroups: [''], resources: [configmaps], verbs: [get, list, create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: dashboard-credentials}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: dashboard-credentials}
subjects: [{kind: ServiceAccount, name: odh-dashboard, namespace: dashboard}]
";

/// A namespace with registries, and the dashboard.
struct Settings {
    world: World,
    client: Client,
}

impl Settings {
    async fn new(platform: Platform) -> Self {
        static KUBERNETES: OnceCell<()> = OnceCell::const_new();
        static OPENSHIFT: OnceCell<()> = OnceCell::const_new();
        let world = world(platform, "registries").await;
        let rights = match platform {
            Platform::Kubernetes => &KUBERNETES,
            Platform::OpenShift => &OPENSHIFT,
        };
        rights.get_or_init(|| world.apply(RIGHTS)).await;
        world.apply(CREDENTIALS).await;
        let config = world
            .cluster
            .config_for_service_account(DASHBOARD.0, DASHBOARD.1)
            .await
            .expect("a configuration");
        let client = Client::try_from(config).expect("a client");
        Self { world, client }
    }

    fn api(&self, kind: resources::Kind) -> Api<DynamicObject> {
        api_of(&self.client, Some(&self.world.namespace), kind)
    }

    /// Dry run, then for real.
    async fn create(&self, kind: resources::Kind, mut body: Value) -> DynamicObject {
        body["apiVersion"] = json!(kind.api_version());
        body["kind"] = json!(kind.kind);
        let object: DynamicObject = serde_json::from_value(body).expect("an object");
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        self.api(kind)
            .create(&dry, &object)
            .await
            .expect("the dry run");
        self.api(kind)
            .create(&PostParams::default(), &object)
            .await
            .expect("created")
    }

    /// A merge patch: dry run, then for real.
    async fn merge(&self, kind: resources::Kind, name: &str, body: Value) {
        let dry = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        for params in [dry, PatchParams::default()] {
            self.api(kind)
                .patch(name, &params, &Patch::Merge(&body))
                .await
                .expect("patched");
        }
    }

    /// Secret of an external database, as the dashboard makes it. Returns its name.
    async fn credential(&self, registry: &str) -> String {
        let secret = json!({
            "metadata": {"generateName": format!("{registry}-db-"), "annotations": {
                "template.openshift.io/expose-database_name": "{.data['database-name']}",
                "template.openshift.io/expose-username": "{.data['database-user']}",
                "template.openshift.io/expose-password": "{.data['database-password']}"}},
            "type": "Opaque",
            "stringData": {"database-name": "model-registry", "database-user": "ann", "database-password": "p?w$(x)"},
        });
        self.create(SECRET, secret).await.name_any()
    }

    /// A registry as the dashboard sends it.
    async fn registry(&self, name: &str, databases: Value) {
        let mut spec = json!({"kubeRBACProxy": {}, "grpc": {}, "rest": {}});
        spec.as_object_mut()
            .expect("a spec")
            .extend(databases.as_object().expect("databases").clone());
        let body = json!({"metadata": {"name": name, "annotations": texts("Prod models", "")}, "spec": spec});
        self.create(MODEL_REGISTRY, body).await;
    }

    async fn service_annotations(&self, name: &str) -> BTreeMap<String, String> {
        let service = self.world.until(SERVICE, name, |_| true).await;
        service.annotations().clone()
    }
}

fn texts(display: &str, description: &str) -> Value {
    json!({"openshift.io/display-name": display, "openshift.io/description": description})
}

fn external(secret: &str) -> Value {
    json!({"host": "db.example.test", "port": 3306, "database": "model-registry", "username": "ann",
        "skipDBCreation": false, "passwordSecret": {"name": secret, "key": "database-password"}})
}

async fn default_database(platform: Platform, name: &str) {
    let settings = Settings::new(platform).await;
    settings
        .registry(
            name,
            json!({"postgres": {"generateDeployment": true}, "mysql": null}),
        )
        .await;
    let registry = settings.world.available(name).await;
    assert_eq!(registry.data["spec"]["mysql"], Value::Null);
    let told: Vec<_> = cluster::conditions(&registry.data)
        .filter_map(|c| c["type"].as_str())
        .collect();
    assert!(
        !told.contains(&"SpecWarnings"),
        "what it always sends is no reason to warn: {}",
        registry.data["status"]
    );

    settings
        .api(MODEL_REGISTRY)
        .delete(name, &DeleteParams::default())
        .await
        .expect("deleted");
    let all = Api::<api::modelregistry::v1beta1::ModelRegistry>::namespaced(
        settings.world.client.clone(),
        &settings.world.namespace,
    );
    cluster::gone(&all, name, SOON).await.expect("gone");
}

#[tokio::test]
async fn a_registry_with_the_default_database_on_kubernetes() {
    default_database(Platform::Kubernetes, "dash-default").await;
}

#[tokio::test]
async fn a_registry_with_the_default_database_on_openshift() {
    default_database(Platform::OpenShift, "dash-default-os").await;
}

#[tokio::test]
async fn an_external_mysql_with_an_uploaded_authority_created_edited_and_deleted() {
    let name = "dash-mysql";
    let settings = Settings::new(Platform::Kubernetes).await;
    // The authority is uploaded first, for real.
    let cert = rcgen::generate_simple_self_signed(["db.example.test".to_owned()])
        .expect("a certificate")
        .cert
        .pem();
    settings
        .create(
            resources::kind::CONFIG_MAP,
            json!({"metadata": {"name": "dash-mysql-db-credential"}, "data": {"ca.crt": cert}}),
        )
        .await;
    let secret = settings.credential(name).await;
    let authority = json!({"name": "dash-mysql-db-credential", "key": "ca.crt"});
    // A question mark ends the address for the server: the page is told so, and may be corrected.
    let mut mysql = external(&secret);
    mysql["sslRootCertificateConfigMap"] = authority;
    settings
        .registry(name, json!({"mysql": mysql, "postgres": null}))
        .await;
    let condition = settings
        .world
        .condition(name, "DatabaseConfigValid", "False")
        .await;
    let message = condition["message"].as_str().unwrap_or_default();
    assert!(
        message.contains(&secret) && message.contains("'?'") && !message.contains("p?w"),
        "{message}"
    );
    let pods = |registry: &World| {
        let api = registry.api(DEPLOYMENT);
        async move { api.get(name).await.expect("the Deployment") }
    };
    let before = pods(&settings.world).await.metadata.generation;

    // Edit: annotations, the proxy, the database in use, null for the other and for what is off.
    let mut mysql = external(&secret);
    mysql["sslRootCertificateConfigMap"] = Value::Null;
    mysql["sslRootCertificateSecret"] = Value::Null;
    mysql["host"] = json!("other.example.test");
    settings
        .merge(
            MODEL_REGISTRY,
            name,
            json!({"metadata": {"annotations": texts("Other", "For all")},
            "spec": {"kubeRBACProxy": {}, "mysql": mysql, "postgres": null}}),
        )
        .await;
    settings
        .merge(
            SECRET,
            &secret,
            json!({"stringData": {"database-password": "new$(x)"}}),
        )
        .await;
    settings
        .world
        .condition(name, "DatabaseConfigValid", "True")
        .await;
    settings.world.available(name).await;
    let deployment = pods(&settings.world).await;
    assert!(
        deployment.metadata.generation > before,
        "the new password rolls the pods"
    );
    let text = deployment.data["spec"].to_string();
    assert!(
        text.contains("other.example.test") && !text.contains("ssl-root-cert"),
        "{text}"
    );
    let annotations = settings.service_annotations(name).await;
    for (key, value) in [
        ("openshift.io/display-name", "Other"),
        ("displayName", "Other"),
        ("openshift.io/description", "For all"),
        ("description", "For all"),
    ] {
        assert_eq!(
            annotations.get(key).map(String::as_str),
            Some(value),
            "{key}"
        );
    }

    // Only the Secret changes.
    let before = pods(&settings.world).await.metadata.generation;
    settings
        .merge(
            SECRET,
            &secret,
            json!({"stringData": {"database-password": "third"}}),
        )
        .await;
    settings
        .world
        .until(DEPLOYMENT, name, |d| d.metadata.generation > before)
        .await;
    settings.world.available(name).await;

    settings
        .api(MODEL_REGISTRY)
        .delete(name, &DeleteParams::default())
        .await
        .expect("deleted");
    settings
        .api(SECRET)
        .delete(&secret, &DeleteParams::default())
        .await
        .expect("deleted");
    let all = Api::<api::modelregistry::v1beta1::ModelRegistry>::namespaced(
        settings.world.client.clone(),
        &settings.world.namespace,
    );
    cluster::gone(&all, name, SOON).await.expect("gone");
}

/// A client that knows no kubeRBACProxy sends a legacy `istio`, and addresses only.
#[tokio::test]
async fn the_dashboards_backend_sends_an_empty_istio() {
    let settings = Settings::new(Platform::OpenShift).await;
    let secret = settings.credential("dash-istio").await;
    let body = json!({"metadata": {"name": "dash-istio"},
        "spec": {"istio": {}, "grpc": {}, "rest": {}, "mysql": null, "postgres": external(&secret)}});
    settings.create(MODEL_REGISTRY, body).await;
    settings.world.available("dash-istio").await;
    let service = settings.world.until(SERVICE, "dash-istio", |_| true).await;
    assert_eq!(
        service.data["spec"]["ports"][0]["name"], "https-api",
        "the proxy is the default"
    );
}

/// A missing Secret is said, and the registry comes up when it is made again.
#[tokio::test]
async fn a_missing_secret_is_shown_and_can_be_made_again() {
    let name = "dash-missing";
    let settings = Settings::new(Platform::Kubernetes).await;
    settings
        .registry(
            name,
            json!({"postgres": external("dash-missing-db-xyz"), "mysql": null}),
        )
        .await;
    eventually("the page names the Secret", SOON, || async {
        let live = settings
            .api(MODEL_REGISTRY)
            .get(name)
            .await
            .map_err(|e| e.to_string())?;
        let shown = label::of(&live.data);
        match shown {
            label::Shown::Unavailable(texts)
                if texts.iter().any(|t| t.contains("dash-missing-db-xyz")) =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .expect("named");
    settings
        .create(SECRET, json!({"metadata": {"name": "dash-missing-db-xyz"}, "stringData": {"database-password": "x"}}))
        .await;
    let registry = settings.world.available(name).await;
    assert_eq!(label::of(&registry.data), label::Shown::Available);
}

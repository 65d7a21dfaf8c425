//! How APIs that a service can do without fail.

use std::time::Duration;

use cluster::{Foreign, StandIn, api_of, eventually};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use resources::Kind;
use resources::kind::{
    BACKEND_TLS_POLICY, DEFINITION, DESTINATION_RULE, HTTP_ROUTE, ROUTE, SERVICE_MONITOR,
    VIRTUAL_SERVICE,
};
use serde_json::json;
use trustyai_operator::wiring::logger::INFERENCE_SERVICE;

use super::dry_run;
use crate::harness::{COLLECTED, SOON};

/// APIs that a service uses where they are there, and what its objects are called behind its name.
pub(super) const OPTIONAL: [(Kind, &str); 7] = [
    (SERVICE_MONITOR, ""),
    (ROUTE, ""),
    (HTTP_ROUTE, ""),
    (BACKEND_TLS_POLICY, ""),
    (DESTINATION_RULE, "-internal"),
    (VIRTUAL_SERVICE, "-redirect"),
    (INFERENCE_SERVICE, ""),
];

/// Registrations of groups of APIs.
const API_SERVICE: Kind =
    Kind::cluster("apiregistration.k8s.io", "v1", "APIService", "apiservices");

/// What refuses writes.
const VALIDATION: Kind = Kind::cluster(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
);

/// Nobody listens there.
const NOWHERE: &str = "https://127.0.0.1:9/";

/// How APIs fail.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failing {
    /// No object can be written: nobody answers for validation.
    Validation,
    /// No object can be read or deleted: nobody answers for the conversion of what is stored.
    Conversion,
    /// Nothing is answered, as where another server is registered for the group, and is down.
    Server,
}

/// Installs all of them. Objects are stored in another version than the one that is used: to read
/// them takes a conversion.
pub(super) async fn install(client: &Client) {
    let own = [
        StandIn::ServiceMonitor,
        StandIn::Route,
        StandIn::HttpRoute,
        StandIn::BackendTlsPolicy,
        StandIn::InferenceService,
    ];
    let own = own.map(|api| api.crd().to_owned());
    let names = OPTIONAL.map(|(kind, _)| kind.resource());
    for text in own
        .into_iter()
        .chain(Foreign::Istio.crds().expect("the definitions"))
    {
        for mut definition in cluster::objects(&text).expect("a definition") {
            if !names.contains(&definition.name_any()) {
                continue;
            }
            let versions = definition.data["spec"]["versions"].as_array_mut();
            let versions = versions.expect("versions");
            let mut stored = versions[0].clone();
            for version in versions.iter_mut() {
                version["storage"] = false.into();
            }
            stored["name"] = "v2alpha1".into();
            stored["storage"] = true.into();
            versions.push(stored);
            cluster::apply(client, "", &definition)
                .await
                .expect("applied");
        }
    }
    for (kind, _) in OPTIONAL {
        let api = api_of(client, None, kind);
        eventually(&format!("{kind} served"), SOON, || async {
            let all = api.list(&ListParams::default()).await;
            all.map(drop).map_err(|error| error.to_string())
        })
        .await
        .expect("served");
    }
}

/// Registrations of the groups of these APIs.
async fn registrations(client: &Client) -> Vec<DynamicObject> {
    let all = api_of(client, None, API_SERVICE);
    let all = all.list(&ListParams::default()).await.expect("all");
    let of_group = |one: &DynamicObject| {
        let group = &one.data["spec"]["group"];
        OPTIONAL.iter().any(|(kind, _)| group == kind.group)
    };
    all.into_iter().filter(of_group).collect()
}

impl Failing {
    /// From now on they fail.
    pub(super) async fn begin(self, client: &Client) {
        match self {
            Self::Conversion => {
                let webhook = json!({"clientConfig": {"url": NOWHERE},
                    "conversionReviewVersions": ["v1"]});
                let conversion = json!({"strategy": "Webhook", "webhook": webhook});
                let patch = Patch::Merge(json!({"spec": {"conversion": conversion}}));
                let (api, params) = (api_of(client, None, DEFINITION), PatchParams::default());
                for (kind, _) in OPTIONAL {
                    let patched = api.patch(&kind.resource(), &params, &patch).await;
                    patched.expect("patched");
                }
            }
            Self::Validation => {
                let groups: Vec<_> = OPTIONAL.iter().map(|(kind, _)| kind.group).collect();
                let operations = ["CREATE", "UPDATE"];
                let every = json!({"apiGroups": groups, "apiVersions": ["*"], "resources": ["*"],
                    "operations": operations});
                let budgets = json!({"apiGroups": ["policy"], "apiVersions": ["*"],
                    "resources": ["poddisruptionbudgets"], "operations": operations});
                let webhook = json!({"name": "nobody.example.test", "rules": [every, budgets],
                    "clientConfig": {"url": NOWHERE}, "failurePolicy": "Fail",
                    "sideEffects": "None", "admissionReviewVersions": ["v1"],
                    "timeoutSeconds": 1});
                let configuration = json!({"apiVersion": VALIDATION.api_version(),
                    "kind": VALIDATION.kind, "metadata": {"name": "nobody"},
                    "webhooks": [webhook]});
                let applied = cluster::apply_yaml(client, "", &configuration.to_string()).await;
                applied.expect("applied");
            }
            Self::Server => {
                // Those of definitions are the cluster's own; without the label it leaves them alone.
                let patch = Patch::Merge(json!({
                    "metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": null}},
                    "spec": {"service": {"namespace": "default", "name": "nobody"}},
                }));
                let (api, params) = (api_of(client, None, API_SERVICE), PatchParams::default());
                for one in registrations(client).await {
                    let patched = api.patch(&one.name_any(), &params, &patch).await;
                    patched.expect("patched");
                }
            }
        }
        self.has_begun(client).await;
    }

    /// Whether objects can be deleted all the same.
    pub(super) fn is_deleting(self) -> bool {
        matches!(self, Self::Validation)
    }

    /// Waits until all of them fail.
    async fn has_begun(self, client: &Client) {
        for (kind, _) in OPTIONAL {
            eventually(&format!("{kind} {self:?}"), COLLECTED, || async {
                let fails = self.fails(client, kind).await;
                fails.then_some(()).ok_or_else(|| "it answers".to_owned())
            })
            .await
            .expect("it fails");
        }
    }

    async fn fails(self, client: &Client, kind: Kind) -> bool {
        match self {
            Self::Conversion | Self::Server => {
                // The client asks again for minutes where the server says that its storage begins
                // anew, which it says as long as nothing there can be read.
                let (api, params) = (api_of(client, None, kind), ListParams::default());
                let asked = tokio::time::timeout(Duration::from_secs(5), api.list(&params));
                !matches!(asked.await, Ok(Ok(_)))
            }
            // One rule is for all of them.
            Self::Validation => {
                let object = json!({"apiVersion": INFERENCE_SERVICE.api_version(),
                    "kind": INFERENCE_SERVICE.kind, "metadata": {"name": "refused"}, "spec": {}});
                let object = serde_json::from_value(object).expect("an object");
                let api = api_of(client, Some("default"), INFERENCE_SERVICE);
                let made = api.create(&dry_run(), &object).await;
                made.is_err_and(|error| error.to_string().contains("nobody"))
            }
        }
    }
}

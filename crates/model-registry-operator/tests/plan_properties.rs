//! Any resource gives a plan or a typed error, and each of its texts appears only where it belongs.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

#[path = "support/mod.rs"]
mod support;

use proptest::prelude::*;
use proptest::sample::select;
use runtime::offline::Platform;
use serde_json::{Map, Value, json};
use support::{Case, merged};

/// A text field of the resource, the mark that its texts carry, and where they may appear: starts
/// of `Kind/name` followed by parts of a JSON pointer that must all be in the place's pointer.
struct Field {
    path: &'static str,
    mark: &'static str,
    places: &'static [&'static [&'static str]],
}

const DSN: &[&str] = &["Deployment/sample", "/containers/0/env/", "/value"];
/// The metadata store takes in arguments what the server takes by its environment.
const STORE: &[&str] = &["Deployment/sample", "/containers/0/args/"];
const ENV_SECRET: &[&str] = &["Deployment/sample", "/containers/0/env/", "/secretKeyRef/"];
const ARGS: &[&str] = &["Deployment/sample", "/containers/0/args/"];
const VOLUME: &[&str] = &["Deployment/sample", "/volumes/"];
const PROXY_ARGS: &[&[&str]] = &[
    &["Deployment/sample", "/containers/1/args/"],
    &["Deployment/sample", "/containers/2/args/"],
];
const SERVER_IMAGE: &[&str] = &["Deployment/sample", "/containers/0/image"];
const PROXY_IMAGE: &[&[&str]] = &[
    &["Deployment/sample", "/containers/1/image"],
    &["Deployment/sample", "/containers/2/image"],
];
const POD: &str = "Deployment/sample";

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    Field { path: "/spec/rest/image", mark: "mark0kram", places: &[SERVER_IMAGE, &[POD, "/containers/1/image"]] },
    Field { path: "/spec/grpc/image", mark: "mark1kram", places: &[&[POD, "/containers/0/image"]] },
    Field { path: "/spec/postgres/host", mark: "mark2kram", places: &[DSN, STORE] },
    Field { path: "/spec/postgres/hostAddress", mark: "mark3kram", places: &[DSN, STORE] },
    Field { path: "/spec/postgres/username", mark: "mark4kram", places: &[DSN, STORE] },
    Field { path: "/spec/postgres/database", mark: "mark5kram", places: &[DSN, STORE] },
    Field { path: "/spec/postgres/passwordSecret/name", mark: "mark6kram", places: &[ENV_SECRET] },
    Field { path: "/spec/postgres/passwordSecret/key", mark: "mark7kram", places: &[ENV_SECRET] },
    Field { path: "/spec/postgres/sslCertificateSecret/name", mark: "mark8kram", places: &[VOLUME] },
    Field { path: "/spec/postgres/sslCertificateSecret/key", mark: "mark9kram", places: &[ARGS] },
    Field { path: "/spec/postgres/sslRootCertificateConfigMap/name", mark: "mark10kram", places: &[VOLUME] },
    Field { path: "/spec/postgres/sslRootCertificateConfigMap/key", mark: "mark11kram", places: &[ARGS] },
    Field { path: "/spec/postgres/sslPasswordSecret/name", mark: "mark12kram", places: &[ENV_SECRET] },
    Field { path: "/spec/postgres/sslPasswordSecret/key", mark: "mark13kram", places: &[ENV_SECRET] },
    Field { path: "/spec/postgres/image", mark: "mark14kram",
        places: &[&["Deployment/sample-postgres", "/containers/0/image"]] },
    Field { path: "/spec/postgres/storage/storageClassName", mark: "mark15kram",
        places: &[&["PersistentVolumeClaim/sample-postgres-storage", "/storageClassName"], &["PersistentVolumeClaim/sample-postgres-storage", "/storage-class"]] },
    Field { path: "/spec/mysql/host", mark: "mark16kram", places: &[DSN, STORE] },
    Field { path: "/spec/mysql/username", mark: "mark17kram", places: &[DSN, STORE] },
    Field { path: "/spec/mysql/database", mark: "mark18kram", places: &[DSN, STORE] },
    Field { path: "/spec/mysql/passwordSecret/name", mark: "mark19kram", places: &[ENV_SECRET] },
    Field { path: "/spec/mysql/passwordSecret/key", mark: "mark20kram", places: &[ENV_SECRET] },
    Field { path: "/spec/mysql/sslKeySecret/name", mark: "mark21kram", places: &[VOLUME] },
    Field { path: "/spec/mysql/sslKeySecret/key", mark: "mark22kram", places: &[ARGS] },
    Field { path: "/spec/mysql/sslRootCertificatesConfigMapName", mark: "mark23kram", places: &[] },
    Field { path: "/spec/mysql/sslRootCertificatesSecretName", mark: "mark24kram", places: &[] },
    Field { path: "/spec/mysql/sslCipher", mark: "mark25kram", places: &[ARGS] },
    Field { path: "/spec/oauthProxy/image", mark: "mark26kram", places: PROXY_IMAGE },
    Field { path: "/spec/oauthProxy/domain", mark: "mark27kram",
        places: &[&["Route/sample-https", "/spec/host"], &["Service/sample", "external-address-rest"]] },
    Field { path: "/spec/kubeRBACProxy/image", mark: "mark28kram", places: PROXY_IMAGE },
    Field { path: "/spec/kubeRBACProxy/domain", mark: "mark29kram",
        places: &[&["Route/sample-https", "/spec/host"], &["Service/sample", "external-address-rest"]] },
    Field { path: "/spec/kubeRBACProxy/tlsCertificateSecret/name", mark: "mark30kram", places: &[VOLUME] },
    Field { path: "/spec/kubeRBACProxy/tlsCertificateSecret/key", mark: "mark31kram", places: PROXY_ARGS },
    Field { path: "/spec/kubeRBACProxy/tlsKeySecret/name", mark: "mark32kram", places: &[VOLUME] },
    Field { path: "/spec/kubeRBACProxy/tlsKeySecret/key", mark: "mark33kram", places: PROXY_ARGS },
    Field { path: "/annotations/openshift.io~1display-name", mark: "mark34kram",
        places: &[&["Service/sample", "/metadata/annotations/"]] },
    Field { path: "/annotations/openshift.io~1description", mark: "mark35kram",
        places: &[&["Service/sample", "/metadata/annotations/"]] },
    Field { path: "/spec/operand/labels/team", mark: "mark36kram", places: &[&[POD, "/template/metadata/labels/"]] },
    Field { path: "/spec/operand/annotations/note", mark: "mark37kram",
        places: &[&[POD, "/template/metadata/annotations/"]] },
    Field { path: "/spec/operand/nodeSelector/disk", mark: "mark38kram",
        places: &[&[POD, "/nodeSelector/"], &["Deployment/sample-postgres", "/nodeSelector/"]] },
    Field { path: "/spec/expose/ingress/className", mark: "mark39kram",
        places: &[&["Ingress/sample", "/spec/ingressClassName"]] },
    Field { path: "/spec/expose/ingress/tlsSecretName", mark: "mark40kram",
        places: &[&["Ingress/sample", "/spec/tls/0/secretName"]] },
    Field { path: "/spec/expose/ingress/annotations/note", mark: "mark41kram",
        places: &[&["Ingress/sample", "/metadata/annotations/"]] },
    Field { path: "/spec/kubeRBACProxy/certManager/issuerRef/name", mark: "mark42kram",
        places: &[&["Certificate/sample-kube-rbac-proxy-cert", "/spec/issuerRef/name"]] },
    Field { path: "/spec/istio/authProvider", mark: "mark59kram",
        places: &[&["AuthorizationPolicy/sample-authorino", "/spec/provider/name"]] },
    Field { path: "/spec/istio/authConfigLabels/team", mark: "mark60kram",
        places: &[&["AuthConfig/sample", "/metadata/labels/team"]] },
    Field { path: "/spec/istio/gateway/domain", mark: "mark61kram", places: &[
        &["Gateway/sample", "/spec/servers/", "/hosts/"], &["VirtualService/sample", "/spec/hosts/"],
        &["VirtualService/sample", "/regex"], &["AuthConfig/sample", "/spec/hosts/"],
        &["Route/ns-sample-rest", "/host"], &["Route/ns-sample-grpc", "/host"],
        &["Route/ns-sample-rest", "/original-host"], &["Route/ns-sample-grpc", "/original-host"],
        &["Route/sample-https", "/spec/host"], &["Service/sample", "external-address-"]] },
    Field { path: "/spec/istio/gateway/istioIngress", mark: "mark62kram",
        places: &[&["Gateway/sample", "/spec/selector/istio"]] },
    Field { path: "/spec/istio/gateway/controlPlane", mark: "mark63kram",
        places: &[&["Gateway/sample", "/spec/selector/istio.io/rev"]] },
    Field { path: "/spec/istio/gateway/rest/tls/credentialName", mark: "mark64kram",
        places: &[&["Gateway/sample", "/spec/servers/0/tls/credentialName"]] },
    Field { path: "/spec/istio/gateway/grpc/tls/credentialName", mark: "mark65kram",
        places: &[&["Gateway/sample", "/spec/servers/1/tls/credentialName"]] },
];

/// Texts that end up in places where they should not, if anything is pasted.
fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![
        60 => Just(String::new()),
        1 => select(vec![
            "\n        stdin: true", "\"", "'", ": x", " #", "$(PGPASSWORD)", "$", "\\", "{}", "\t", "?a=b",
            "@h/", "%", "é", "\u{0}", "/../..", "--flag", ",", "=",
        ])
        .prop_map(str::to_owned),
        1 => ".*",
    ]
}

/// The resource: most fields absent, the others with their mark.
fn content() -> impl Strategy<Value = Value> {
    let texts = proptest::collection::vec(proptest::option::weighted(0.4, nasty()), FIELDS.len());
    let switches = (
        any::<[bool; 12]>(),
        select(vec![
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
        ]),
        (any::<u16>(), any::<u16>()),
        select(vec!["", "true", "false", "null"]),
    );
    (texts, switches).prop_map(|(texts, (on, mode, (port, proxy_port), generate))| {
        let mut content = json!({"annotations": {}, "spec": {"rest": {}}});
        for (field, text) in FIELDS.iter().zip(texts) {
            if let Some(text) = text {
                content = merged(
                    content,
                    &nested(field.path, format!("{}{text}", field.mark).into()),
                );
            }
        }
        let spec = content["spec"].as_object_mut().unwrap();
        complete(spec);
        for (block, present) in [
            ("postgres", on[0]),
            ("mysql", on[1]),
            ("kubeRBACProxy", on[2]),
            ("oauthProxy", on[3]),
            ("istio", on[8]),
            ("grpc", on[9]),
        ] {
            if !present {
                spec.remove(block);
            }
        }
        if let Some(postgres) = spec.get_mut("postgres") {
            postgres["sslMode"] = mode.into();
            if !generate.is_empty() {
                postgres["generateDeployment"] = serde_json::from_str(generate).unwrap();
            }
        }
        if let Some(proxy) = spec.get_mut("kubeRBACProxy") {
            proxy["authorization"] = if on[4] { "Get" } else { "ByMethod" }.into();
            proxy["serviceRoute"] = if on[5] { "enabled" } else { "disabled" }.into();
            proxy["port"] = if on[7] { 8443 } else { proxy_port.into() }.into();
        }
        if let Some(proxy) = spec.get_mut("oauthProxy")
            && let Some(Value::String(image)) = proxy.get_mut("image")
            && on[10]
        {
            *image = format!("origin-oauth-proxy:{image}");
        }
        if let Some(istio) = spec.get_mut("istio") {
            if on[11] {
                istio["tlsMode"] = "MUTUAL".into();
            }
            if let Some(gateway) = istio.get_mut("gateway") {
                for side in ["rest", "grpc"] {
                    if gateway[side].is_null() {
                        gateway[side] = json!({});
                    }
                }
            }
        }
        spec["rest"]["port"] = if on[6] { 8080 } else { port.into() }.into();
        content
    })
}

/// References need both of their parts, and MySQL its three names.
fn complete(spec: &mut Map<String, Value>) {
    for (name, block) in spec.iter_mut() {
        let Some(block) = block.as_object_mut() else {
            continue;
        };
        for (_, reference) in block
            .iter_mut()
            .filter(|(key, _)| key.ends_with("Secret") || key.ends_with("Map"))
        {
            for part in ["name", "key"] {
                if reference[part].is_null() {
                    reference[part] = "x".into();
                }
            }
        }
        if name == "expose" {
            block.insert("hosts".into(), json!(["h.example.test"]));
        }
        if name == "mysql" {
            for part in ["host", "username", "database"] {
                block.entry(part).or_insert_with(|| "x".into());
            }
        }
    }
}

fn nested(path: &str, value: Value) -> Value {
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    parts.iter().rev().fold(value, |inner, part| {
        let mut map = Map::new();
        map.insert(part.replace("~1", "/"), inner);
        Value::Object(map)
    })
}

/// Every text in `value` with its JSON pointer, keys of maps included.
fn texts(pointer: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((pointer.to_owned(), text.clone())),
        Value::Array(list) => {
            for (place, member) in list.iter().enumerate() {
                texts(&format!("{pointer}/{place}"), member, found);
            }
        }
        Value::Object(map) => {
            for (key, member) in map {
                let below = format!("{pointer}/{key}");
                found.push((below.clone(), key.clone()));
                texts(&below, member, found);
            }
        }
        _ => {}
    }
}

/// The Service of the gateway that `spec.istio` means without saying.
fn ingress() -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {
        "name": "ingress", "namespace": "istio-system", "labels": {"istio": "ingressgateway"}}})
}

fn check(platform: Platform, mesh: bool, content: &Value) -> Result<(), TestCaseError> {
    let mut case = match platform {
        Platform::Kubernetes => Case::kubernetes(content["spec"].clone()),
        Platform::OpenShift => Case::openshift(content["spec"].clone()),
    };
    case = case.with(ingress());
    case.mesh = mesh;
    case.annotations = content["annotations"].clone();
    let plan = match case.try_plan() {
        Ok(plan) => plan,
        Err(error) => {
            // A field and what is wrong with it.
            let sentence = error.to_string();
            let field = sentence.trim_start_matches('[');
            prop_assert!(
                field.starts_with("spec.") && field.contains(": "),
                "{sentence}"
            );
            return Ok(());
        }
    };
    for object in plan.objects() {
        let mut found = Vec::new();
        texts(
            &format!("{}/{}", object.kind, object.name),
            &object.body,
            &mut found,
        );
        for (place, text) in &found {
            for field in FIELDS.iter().filter(|field| text.contains(field.mark)) {
                let allowed = field.places.iter().any(|parts| {
                    let starts = parts.first().is_some_and(|start| {
                        place
                            .strip_prefix(start)
                            .is_some_and(|rest| rest.starts_with('/'))
                    });
                    starts && parts.iter().all(|part| place.contains(part))
                });
                prop_assert!(allowed, "{} appears at {place}: {text:?}", field.path);
            }
        }
    }
    Ok(())
}

fn cases() -> ProptestConfig {
    // PROPTEST_CASES asks for another number.
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        default.cases
    } else {
        300
    };
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn texts_stay_where_they_belong(
        content in content(), openshift in any::<bool>(), mesh in any::<bool>(),
    ) {
        let platform = if openshift { Platform::OpenShift } else { Platform::Kubernetes };
        check(platform, mesh, &content)?;
    }

    #[test]
    fn any_name_gives_a_plan_or_a_sentence(name in prop_oneof!["[a-z][a-z0-9-]{0,70}", ".{0,80}"]) {
        let name: &'static str = Box::leak(name.into_boxed_str());
        let case = Case::openshift(support::mysql()).named(name);
        if let Err(error) = case.try_plan() {
            prop_assert!(error.to_string().starts_with("metadata.name: "), "{error}");
        }
    }
}

#[test]
fn the_marks_reach_a_plan() {
    // Otherwise the properties above would hold of nothing.
    let mut content =
        json!({"annotations": {}, "spec": {"rest": {}, "postgres": {"sslMode": "require"}}});
    let old = [
        "/spec/mysql",
        "/spec/oauthProxy",
        "/spec/istio",
        "/spec/postgres/image",
        "/spec/postgres/storage",
        // Beside a certificate that is named.
        "/spec/kubeRBACProxy/certManager",
    ];
    let used = |field: &&Field| {
        !old.iter().any(|start| field.path.starts_with(start))
            && field.path != "/spec/postgres/hostAddress"
    };
    for field in FIELDS.iter().filter(used) {
        content = merged(content, &nested(field.path, field.mark.into()));
    }
    complete(content["spec"].as_object_mut().unwrap());
    let mut case = Case::openshift(content["spec"].clone());
    case.annotations = content["annotations"].clone();
    let plan = case.plan();
    let text: String = plan
        .objects()
        .iter()
        .map(|object| object.body.to_string())
        .collect();
    for field in FIELDS.iter().filter(used) {
        assert!(text.contains(field.mark), "{}", field.path);
    }
}

#[test]
fn the_marks_of_the_mesh_and_of_the_oauth_proxy_reach_a_plan() {
    let spec = |start: &str| {
        FIELDS
            .iter()
            .filter(|field| field.path.starts_with(start))
            .fold(support::mysql(), |spec, field| {
                let mark = match field.path {
                    "/spec/oauthProxy/image" => format!("oauth-proxy:{}", field.mark),
                    _ => field.mark.to_owned(),
                };
                merged(spec, &nested(field.path, mark.into())["spec"])
            })
    };
    for start in ["/spec/istio", "/spec/oauthProxy"] {
        let mut case = Case::openshift(spec(start)).with(ingress());
        case.mesh = true;
        let plan = case.plan();
        let bodies = plan.objects().iter().map(|object| object.body.to_string());
        let text: String = bodies.collect();
        for field in FIELDS.iter().filter(|field| field.path.starts_with(start)) {
            assert!(text.contains(field.mark), "{}", field.path);
        }
    }
}

#[test]
fn many_of_the_generated_resources_give_a_plan() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let planned = (0..200)
        .filter(|_| {
            let content = content().new_tree(&mut runner).unwrap().current();
            Case::openshift(content["spec"].clone()).try_plan().is_ok()
        })
        .count();
    assert!((40..200).contains(&planned), "{planned} of 200");
}

//! `spec.access`: for each kind of subject and each HTTP method, the question that the proxy would
//! ask of the API server, asked.

use cluster::{Platform, eventually};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use operator_harness::SOON;
use resources::kind::{ROLE, ROLE_BINDING};
use serde_json::{Value, json};

use crate::harness::{MODEL_REGISTRY, World, behind_proxy, world};
use crate::proxy_rule::{Build, METHODS, allowed_in, config_of, question};

/// Somebody who calls, with the groups that the API server knows them in.
struct Caller {
    name: &'static str,
    groups: &'static [&'static str],
}

const SIGNED_IN: &str = "system:authenticated";

const ANN: Caller = Caller {
    name: "ann",
    groups: &[SIGNED_IN],
};
const OF_GROUP: Caller = Caller {
    name: "gil",
    groups: &["data:scientists", SIGNED_IN],
};
const ACCOUNT: Caller = Caller {
    name: "system:serviceaccount:ds1:pipeline",
    groups: &[
        "system:serviceaccounts",
        "system:serviceaccounts:ds1",
        SIGNED_IN,
    ],
};
const OF_NAMESPACE: Caller = Caller {
    name: "system:serviceaccount:ds2:default",
    groups: &[
        "system:serviceaccounts",
        "system:serviceaccounts:ds2",
        SIGNED_IN,
    ],
};
/// Another account of the namespace of [`ACCOUNT`].
const STRANGER: Caller = Caller {
    name: "system:serviceaccount:ds1:default",
    groups: &[
        "system:serviceaccounts",
        "system:serviceaccounts:ds1",
        SIGNED_IN,
    ],
};

const LET_IN: [Caller; 4] = [ANN, OF_GROUP, ACCOUNT, OF_NAMESPACE];

/// Each of [`LET_IN`], by the field for its kind.
fn everybody(role: &str) -> Value {
    json!({"role": role, "users": ["ann"], "groups": ["data:scientists"],
        "serviceAccounts": [{"namespace": "ds1", "name": "pipeline"}], "namespaces": ["ds2"]})
}

async fn registry(prefix: &str, authorization: &str, access: Value) -> World {
    let world = world(Platform::Kubernetes, prefix).await;
    let mut spec = behind_proxy();
    spec["kubeRBACProxy"] = json!({"authorization": authorization});
    spec["access"] = access;
    world.registry(prefix, spec).await;
    world.available(prefix).await;
    world
}

/// What the proxy's question says for a caller, method by method.
async fn answers(world: &World, name: &str, build: Build, caller: &Caller) -> Vec<bool> {
    let config = config_of(world, name).await;
    let mut found = Vec::new();
    for (_, verb) in METHODS {
        let asked = question(build, verb, &config);
        found.push(allowed_in(world, caller.name, caller.groups, asked).await);
    }
    found
}

/// Access follows the bindings within an event.
async fn becomes(world: &World, name: &str, caller: &Caller, build: Build, wanted: &[bool]) {
    let what = format!("{} on {name} with {build:?}: {wanted:?}", caller.name);
    eventually(&what, SOON, || async {
        let found = answers(world, name, build, caller).await;
        (found == wanted)
            .then_some(())
            .ok_or_else(|| format!("{found:?}"))
    })
    .await
    .expect("the answers");
}

fn reading() -> Vec<bool> {
    METHODS.iter().map(|(_, verb)| *verb == "get").collect()
}

fn all(answer: bool) -> Vec<bool> {
    vec![answer; METHODS.len()]
}

async fn bindings(world: &World, name: &str) -> Vec<kube::api::DynamicObject> {
    let list = ListParams::default().labels(&format!("app={name}"));
    world
        .api(ROLE_BINDING)
        .list(&list)
        .await
        .expect("a list")
        .items
}

#[tokio::test]
async fn whom_the_resource_names_may_do_everything() {
    let name = "access-get";
    let world = registry(name, "Get", json!([everybody("user")])).await;
    for caller in &LET_IN {
        becomes(&world, name, caller, Build::OpenDataHub, &all(true)).await;
    }
    let found = answers(&world, name, Build::OpenDataHub, &STRANGER).await;
    assert_eq!(found, all(false));
    // Who hands the Role out must hold all of it, and dashboards hold these two rules.
    let user = world
        .until(ROLE, &format!("registry-user-{name}"), |_| true)
        .await;
    let rule = |resource: &str| json!({"apiGroups": [""], "resources": [resource], "resourceNames": [name], "verbs": ["get"]});
    assert_eq!(
        user.data["rules"],
        json!([rule("services"), rule("endpoints")])
    );
    // One binding for each, as dashboards make them, and that of the group of users.
    let found = bindings(&world, name).await;
    assert_eq!(found.len(), 5, "{found:?}");
    for binding in found {
        assert_eq!(
            binding.data["subjects"].as_array().map(Vec::len),
            Some(1),
            "{binding:?}"
        );
    }
}

#[tokio::test]
async fn by_method_users_do_everything_and_viewers_read_on_every_build() {
    let users = "access-users";
    let world = registry(users, "ByMethod", json!([everybody("user")])).await;
    let viewers = "access-viewers";
    let mut spec = behind_proxy();
    spec["kubeRBACProxy"] = json!({"authorization": "ByMethod"});
    spec["access"] = json!([everybody("viewer")]);
    world.registry(viewers, spec).await;
    world.available(viewers).await;
    for build in [Build::OpenDataHub, Build::Public] {
        for caller in &LET_IN {
            becomes(&world, users, caller, build, &all(true)).await;
            becomes(&world, viewers, caller, build, &reading()).await;
        }
        for name in [users, viewers] {
            assert_eq!(answers(&world, name, build, &STRANGER).await, all(false));
        }
    }
}

#[tokio::test]
async fn everybody_who_signed_in_may_be_let_in() {
    let name = "access-all";
    let world = registry(
        name,
        "ByMethod",
        json!([{"role": "viewer", "groups": [SIGNED_IN]}, {"users": ["ann"]}]),
    )
    .await;
    becomes(&world, name, &STRANGER, Build::Public, &reading()).await;
    becomes(&world, name, &ANN, Build::Public, &all(true)).await;
    let nobody = Caller {
        name: "system:anonymous",
        groups: &["system:unauthenticated"],
    };
    assert_eq!(
        answers(&world, name, Build::Public, &nobody).await,
        all(false)
    );
}

#[tokio::test]
async fn an_entry_that_goes_takes_its_binding_and_no_other() {
    let name = "access-goes";
    let world = registry(name, "ByMethod", json!([everybody("user")])).await;
    // Of a person, for the same Role, and one that looks like ours and belongs to nobody.
    let theirs = |called: &str, labels: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": called, "labels": labels},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": format!("registry-user-{name}")},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": called}]})
    };
    world.apply(&theirs("zoe", Value::Null).to_string()).await;
    let labels = json!({"app": name, "component": "model-registry", "app.kubernetes.io/component": "model-registry",
        "app.kubernetes.io/part-of": "model-registry"});
    world.apply(&theirs("yan", labels).to_string()).await;
    for caller in &LET_IN {
        becomes(&world, name, caller, Build::Public, &all(true)).await;
    }
    let version = async |called: &str| {
        let found = world.api(ROLE_BINDING).get(called).await.expect("theirs");
        found.resource_version()
    };
    let before = (version("zoe").await, version("yan").await);

    // A binding that somebody deletes comes back; the entry is what decides.
    let of_ann = bindings(&world, name)
        .await
        .into_iter()
        .find(|binding| {
            binding.data["subjects"][0]["name"] == "ann"
                && binding.name_any() != format!("registry-api-{name}")
        })
        .expect("a binding of ann");
    world
        .api(ROLE_BINDING)
        .delete(&of_ann.name_any(), &DeleteParams::default())
        .await
        .expect("deleted");
    world
        .until(ROLE_BINDING, &of_ann.name_any(), |now| {
            now.uid() != of_ann.uid()
        })
        .await;

    let left = json!([{"role": "user", "groups": ["data:scientists"]}]);
    world
        .edit(MODEL_REGISTRY, name, json!({"spec": {"access": left}}))
        .await;
    for caller in [&ANN, &ACCOUNT, &OF_NAMESPACE] {
        becomes(&world, name, caller, Build::Public, &all(false)).await;
    }
    becomes(&world, name, &OF_GROUP, Build::Public, &all(true)).await;
    world
        .edit(MODEL_REGISTRY, name, json!({"spec": {"access": null}}))
        .await;
    becomes(&world, name, &OF_GROUP, Build::Public, &all(false)).await;
    for user in ["zoe", "yan"] {
        let caller = Caller {
            name: user,
            groups: &[],
        };
        becomes(&world, name, &caller, Build::Public, &all(true)).await;
    }
    assert_eq!((version("zoe").await, version("yan").await), before);
}

/// The API server refuses what cannot be, with a sentence that says what to do.
#[tokio::test]
async fn access_that_cannot_be_is_refused() {
    let world = world(Platform::Kubernetes, "access-refused").await;
    for (authorization, access, sentence) in [
        (
            "Get",
            json!([{"role": "viewer", "users": ["vera"]}]),
            "needs kubeRBACProxy.authorization ByMethod",
        ),
        (
            "ByMethod",
            json!([{"namespaces": ["Not_One"]}]),
            "the name of a namespace is made of",
        ),
        (
            "ByMethod",
            json!([{"serviceAccounts": [{"namespace": "ds1", "name": "a b"}]}]),
            "the name of a service account is made of",
        ),
        (
            "ByMethod",
            json!([{"users": ["ann"]}, {"users": ["bob"]}]),
            "Duplicate value",
        ),
        (
            "ByMethod",
            json!([{"users": ["ann", "ann"]}]),
            "Duplicate value",
        ),
        ("ByMethod", json!([{"users": [""]}]), "at least 1 char"),
        (
            "ByMethod",
            json!([{"role": "owner"}]),
            "supported values: \"user\", \"viewer\"",
        ),
    ] {
        let mut spec = behind_proxy();
        spec["kubeRBACProxy"] = json!({"authorization": authorization});
        spec["access"] = access;
        let object = json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
            "metadata": {"name": "refused"}, "spec": spec});
        let object = serde_json::from_value(object).expect("a resource");
        let error = world
            .api(MODEL_REGISTRY)
            .create(&kube::api::PostParams::default(), &object)
            .await
            .expect_err("refused");
        assert!(error.to_string().contains(sentence), "{error}");
    }
}

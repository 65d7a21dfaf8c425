//! What Deployment, pods and endpoints come to.

use operator_harness::Pass;

use super::*;

#[test]
fn a_registry_that_starts_is_told_of_twice() {
    let starting = |statuses| pod("p", NAME, BOTH, statuses);
    let stages = [
        vec![],
        vec![deployment(1, 0, [0, 0, 0], json!([]))],
        vec![deployment(
            1,
            1,
            [0, 0, 1],
            json!([condition("Progressing", "True", "NewReplicaSetCreated", "")]),
        )],
        vec![broken(), starting(json!([]))],
        vec![
            broken(),
            starting(json!([
                waiting("rest-container", "ContainerCreating", ""),
                waiting("kube-rbac-proxy", "PodInitializing", "")
            ])),
            slice(false),
        ],
        vec![
            broken(),
            starting(json!([
                running("rest-container", false),
                running("kube-rbac-proxy", true)
            ])),
            slice(false),
        ],
        vec![up(), good_pod("p"), slice(false)],
        vec![up(), good_pod("p"), slice(true)],
    ];
    let mut world = World::new(proxied());
    let given = world.documents.len();
    let mut told = Vec::new();
    for stage in stages {
        world.documents.truncate(given);
        world.documents.extend(stage);
        world.now += jiff::SignedDuration::from_secs(1);
        told.push(world.pass());
    }
    told.dedup();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(
        brief(&told[0], "Available"),
        expect("False", "DeploymentUnavailable", STARTING)
    );
    assert_eq!(
        brief(&told[0], "Progressing"),
        expect("True", "CreatingDeployment", "Creating deployment")
    );
    assert_eq!(
        brief(&told[0], "KubeRBACProxyAvailable"),
        expect("False", "ResourcesUnavailable", STARTING)
    );
    assert!(STARTING.contains("ContainerCreating"));
}

/// Older pods serve all the while: the registry is available, and not yet what is asked for.
#[test]
fn a_rolling_update_is_no_outage_and_no_stale_true() {
    let mut world = World::new(mysql()).with_all([up(), slice(true), serving(8080)]);
    assert_eq!(get(&world.pass(), "Available").status, "True");
    world.resource.metadata.generation = Some(5);
    // The new pod is counted among those that are not available, and not yet among all.
    let mut late = deployment(2, 2, [1, 0, 1], json!([minimum("True"), rolling()]));
    late["status"]["availableReplicas"] = json!(1);
    for (deployment, generation) in [
        // The controller has not looked at it: what was told is of the edit before.
        (
            deployment(2, 1, [1, 1, 0], json!([minimum("True"), rolled_out()])),
            4,
        ),
        // It has, and speaks of the old pods.
        (
            deployment(2, 2, [1, 0, 0], json!([minimum("True"), rolled_out()])),
            5,
        ),
        (late, 5),
        // The old pod is available, the new one is not.
        (
            deployment(2, 2, [2, 1, 1], json!([minimum("True"), rolling()])),
            5,
        ),
        (
            deployment(2, 2, [2, 1, 0], json!([minimum("True"), rolling()])),
            5,
        ),
    ] {
        world.documents[1] = deployment;
        let status = world.pass();
        let available = get(&status, "Available");
        assert_eq!(
            (available.status.as_str(), available.observed_generation),
            ("True", Some(generation))
        );
        assert_eq!(
            brief(&status, "Progressing"),
            expect("True", "UpdatingDeployment", "Updating deployment")
        );
        let ready = get(&status, "Ready");
        assert_eq!(
            (
                ready.status.as_str(),
                ready.reason.as_str(),
                ready.observed_generation
            ),
            ("False", "UpdatingDeployment", Some(5))
        );
    }
    world.documents[1] = deployment(2, 2, [1, 1, 0], json!([minimum("True"), rolled_out()]));
    let status = world.pass();
    for type_ in ["Available", "Ready"] {
        assert_eq!(get(&status, type_).status, "True");
        assert_eq!(get(&status, type_).observed_generation, Some(5));
    }
}

#[test]
fn what_holds_new_pods_up_is_told_while_old_ones_serve() {
    let crashing = pod(
        "z",
        NAME,
        &["rest-container"],
        json!([waiting("rest-container", "ImagePullBackOff", "no image")]),
    );
    let mut world = World::new(mysql()).with_all([
        deployment(2, 2, [2, 1, 1], json!([minimum("True"), rolling()])),
        slice(true),
        serving(8080),
        crashing,
    ]);
    let status = world.pass();
    assert_eq!(get(&status, "Available").status, "True");
    assert_eq!(
        brief(&status, "Ready"),
        expect(
            "False",
            "UpdatingDeployment",
            "pod z has unready containers [rest-container: {waiting: {reason: ImagePullBackOff, message: no image}}]"
        )
    );
    let late = condition(
        "Progressing",
        "False",
        "ProgressDeadlineExceeded",
        "timed out",
    );
    world.documents[1] = deployment(2, 2, [2, 1, 1], json!([minimum("True"), late]));
    let status = world.pass();
    assert_eq!(get(&status, "Available").status, "True");
    assert_eq!(get(&status, "Ready").reason, "ProgressDeadlineExceeded");
}

/// The Service follows an edit at once, the old pods do not.
#[test]
fn old_pods_behind_another_port_are_no_use() {
    let rolling = deployment(2, 2, [2, 1, 1], json!([minimum("True"), rolling()]));
    for (pod, available) in [(serving(8080), "True"), (serving(9999), "False")] {
        let mut world = World::new(mysql()).with_all([rolling.clone(), slice(true), pod]);
        assert_eq!(get(&world.pass(), "Available").status, available);
    }
}

#[test]
fn what_this_pass_has_written_is_not_up_yet() {
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    let target = Target {
        kind: DEPLOYMENT,
        namespace: Some(NAMESPACE.into()),
        name: NAME.into(),
    };
    world.outcome.updated.push(target);
    let planned = {
        let inputs = OfflineInputs::new(
            &world.registry,
            &world.resource,
            &world.documents,
            Platform::Kubernetes.capabilities(&world.registry, &[]),
            world.now,
        );
        let pass = Pass::over(&world.registry, &world.resource, inputs).unwrap();
        let plan = pass.plan.unwrap();
        plan.get(DEPLOYMENT, NAME).unwrap().body.clone()
    };
    assert_eq!(brief(&world.pass(), "Available").2, STARTING);
    // A repair of a label changes no pod.
    world.documents[1]["spec"] = planned["spec"].clone();
    assert_eq!(get(&world.pass(), "Available").status, "True");
}

#[test]
fn real_problems_are_shown_in_a_stable_order() {
    let containers = &["z", "a"];
    let crash = json!({"name": "a", "ready": false, "restartCount": 3, "image": "", "imageID": "",
        "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "{{ALERT}} schema is dirty\n"}}});
    for (statuses, message) in [
        (
            json!([
                waiting("z", "ImagePullBackOff", "no image"),
                container(
                    "a",
                    false,
                    json!({"terminated": {"exitCode": 2, "reason": "Error", "message": "no"}})
                )
            ]),
            "pod p has unready containers [a: {terminated: {reason: Error, message: no}}, z: {waiting: {reason: ImagePullBackOff, message: no image}}]",
        ),
        (
            json!([
                waiting("a", "CreateContainerConfigError", "secret \"x\" not found"),
                waiting("z", "ContainerCreating", "")
            ]),
            "pod p has unready containers [a: {waiting: {reason: CreateContainerConfigError, message: secret \"x\" not found}}]",
        ),
        (
            json!([crash]),
            "pod p has unready containers [a: {terminated: {reason: Error, message: {{ALERT}} schema is dirty}}]",
        ),
    ] {
        assert_eq!(
            down([broken(), pod("p", NAME, containers, statuses)]),
            format!("Deployment is unavailable: {message}")
        );
    }
    let mut unschedulable = pod("p", NAME, containers, json!([]));
    unschedulable["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]);
    assert_eq!(
        down([broken(), unschedulable]),
        "Deployment is unavailable: pod p containers not ready: {reason: Unschedulable, message: 0/1 nodes}"
    );
}

#[test]
fn the_deployment_speaks_where_pods_say_nothing() {
    let deadline = condition(
        "Progressing",
        "False",
        "ProgressDeadlineExceeded",
        "has timed out",
    );
    let quota = condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota");
    let stalled = deployment(1, 1, [1, 1, 1], json!([minimum("False"), deadline]));
    assert_eq!(
        down([stalled.clone()]),
        "Deployment is unavailable: has timed out"
    );
    assert_eq!(
        down([deployment(
            1,
            1,
            [0, 0, 1],
            json!([minimum("False"), rolling(), quota])
        )]),
        "Deployment is unavailable: exceeded quota"
    );
    let status = World::new(mysql()).with(stalled).pass();
    assert_eq!(
        brief(&status, "Progressing"),
        expect("False", "ProgressDeadlineExceeded", "has timed out")
    );
    // It was up before, and its pod is not ready any more.
    let fallen = deployment(1, 1, [1, 1, 1], json!([minimum("False"), rolled_out()]));
    let idle = pod(
        "p",
        NAME,
        &["rest-container"],
        json!([running("rest-container", false)]),
    );
    assert_eq!(
        down([fallen.clone(), idle]),
        "Deployment is unavailable: Deployment does not have minimum availability."
    );
    assert_eq!(down([fallen]), STARTING, "its pod is being replaced");
}

#[test]
fn endpoints_decide_and_are_not_needed_where_they_cannot_be_watched() {
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    world.pass();
    world.documents[2] = slice(false);
    assert_eq!(
        brief(&world.pass(), "Available").2,
        "Service endpoints not ready - no ready addresses available"
    );
    assert_eq!(
        brief(&world.pass(), "Available").2,
        "Service endpoints not ready - no ready addresses available"
    );
    world.documents.truncate(2);
    assert!(
        brief(&world.pass(), "Available")
            .2
            .starts_with("Service endpoints not found: ")
    );
    world.missing_rules = vec!["list endpointslices.discovery.k8s.io".into()];
    let status = world.pass();
    assert_eq!(get(&status, "Available").status, "True");
    assert_eq!(
        brief(&status, "RightsMissing"),
        expect(
            "True",
            "MissingRights",
            "the operator's service account lacks: list endpointslices.discovery.k8s.io"
        )
    );
    assert_eq!(get(&status, "Ready").status, "True");
}

#[test]
fn pods_of_the_database_are_not_those_of_the_registry() {
    let crashing = |of| {
        pod(
            "p",
            of,
            &["postgresql"],
            json!([waiting("postgresql", "CrashLoopBackOff", "back-off")]),
        )
    };
    let mut world =
        World::new(proxied()).with_all([up(), good_pod("q"), crashing("r-postgres"), slice(true)]);
    assert_eq!(get(&world.pass(), "Available").status, "True");
    // The registry waits for its database: then that is the news.
    assert_eq!(
        down([broken(), crashing("r-postgres")]),
        "Deployment is unavailable: pod p has unready containers [postgresql: {waiting: {reason: CrashLoopBackOff, message: back-off}}]"
    );
}

//! The Jobs that migrate, on real databases: the script ends with each of its exit codes for the
//! cause that the documentation names.

use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use mlflow_operator::migration::job::{Order, job};
use mlflow_operator::migration::names::Role;
use serde_json::{Value, json};

use crate::chart;
use crate::machine::Machine;
use crate::postgres::Postgres;
use crate::process::said;

/// The version that the image has.
const VERSION: &str = "3.14.0";

/// Number of the lock that a migration of PostgreSQL takes.
const LOCK: &str = "5570193308531895111";

/// What the operator makes of an MLflow with these fields.
fn operators(fields: &Value) -> Vec<Value> {
    chart::operators(fields, &[])
}

/// The pod of a Job of this role.
fn pod(objects: &[Value], role: Role, version: &str) -> Value {
    let deployment = chart::object(objects, "Deployment", "mlflow").clone();
    let deployment: Deployment = serde_json::from_value(deployment).expect("a Deployment");
    let order = Order {
        name: "mlflow-mg-3140-g1",
        role,
        instance: "mlflow",
        owner: None,
        version,
        forced_by: None,
        ttl: None,
        deadline: None,
    };
    let job = job(&deployment, &order).expect("a Job");
    let job = serde_json::to_value(job).expect("JSON");
    job["spec"]["template"]["spec"].clone()
}

/// How it ends, and what it leaves for the condition.
fn ends(machine: &Machine, objects: &[Value], role: Role, version: &str) -> (i32, String) {
    let pod = &pod(objects, role, version);
    let _ = std::fs::remove_file(machine.last_words());
    let output = machine
        .command(pod, "db-migrate")
        .output()
        .expect("a process");
    let last_words = std::fs::read_to_string(machine.last_words()).unwrap_or_default();
    let code = output.status.code().expect("a code");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    println!("{code}: {last_words}\n{printed}");
    for text in [&last_words, &printed] {
        assert!(!Postgres::betrayed(text), "a password: {text}");
    }
    (code, last_words)
}

#[test]
#[ignore = "runs MLflow from PyPI; `cargo xtask test --full` has it"]
fn files_are_made_and_what_is_no_database_is_refused() {
    let mut machine = Machine::new();
    let wrong = [
        ("runs", "file:///mlflow/runs"),
        ("models", "file:///mlflow/models"),
    ];
    machine.put("stores", &wrong);
    let file = machine.volume("mlflow-storage").join("mlflow.db");
    let objects = operators(&json!({}));
    let run = |objects: &[Value], role| ends(&machine, objects, role, VERSION);

    // A look makes nothing; a migration does, and a second one has nothing to do.
    assert_eq!(run(&objects, Role::Check).0, 0);
    assert!(!file.exists());
    assert_eq!(run(&objects, Role::Migrate).0, 0);
    assert!(file.exists());
    assert_eq!(run(&objects, Role::Migrate).0, 0);
    assert_eq!(run(&objects, Role::Check).0, 0);

    // The schema refuses such a URI where it can see it.
    let from = |key| json!({"name": "stores", "key": key});
    let registry = operators(&json!({"registryStoreUriFrom": from("models")}));
    let backend = operators(&json!({"backendStoreUri": null, "backendStoreUriFrom": from("runs")}));
    for role in [Role::Check, Role::Migrate] {
        let (code, words) = ends(&machine, &objects, role, "3.15.0");
        assert_eq!(code, 10, "{words}");
        assert!(
            words.contains(VERSION) && words.contains("3.15.0"),
            "{words}"
        );
        assert_eq!(run(&backend, role).0, 11);
        assert_eq!(run(&registry, role).0, 12);
    }
}

/// An image may bring a function that mends what an earlier build left out, in the database of runs.
#[test]
#[ignore = "runs MLflow from PyPI; `cargo xtask test --full` has it"]
fn a_gap_of_the_image_is_closed_in_the_database_of_runs_alone() {
    let mut machine = Machine::new();
    let folder = tempfile::tempdir().expect("a folder");
    let closed = folder.path().join("closed");
    let module = format!(
        "
import sys, types
def fix(engine):
    with open({:?}, 'a') as log:
        print(engine.url.database, file=log)
module = types.ModuleType('mlflow.store.db.migration_gap')
module.fix_migration_gap_if_needed = fix
sys.modules[module.__name__] = module
",
        closed.display().to_string()
    );
    std::fs::write(folder.path().join("sitecustomize.py"), module).expect("a module");
    let path = folder.path().display().to_string();
    machine.environment.insert("PYTHONPATH".to_owned(), path);
    let objects = operators(&json!({"registryStoreUri": "sqlite:////mlflow/models.db"}));
    assert_eq!(ends(&machine, &objects, Role::Check, VERSION).0, 0);
    assert!(!closed.exists(), "a look changes nothing");
    assert_eq!(ends(&machine, &objects, Role::Migrate, VERSION).0, 0);
    let closed = std::fs::read_to_string(closed).expect("it was closed");
    let databases: Vec<&str> = closed.lines().collect();
    assert_eq!(databases.len(), 1, "{databases:?}");
    assert!(databases[0].ends_with("/mlflow.db"), "{databases:?}");
}

#[test]
#[ignore = "runs MLflow and PostgreSQL from PyPI; `cargo xtask test --full` has it"]
fn postgres_is_upgraded_and_says_why_not() {
    let names = ["runs", "models", "stuck", "newer", "busy"];
    let postgres = Postgres::start(&names);
    let machine = Machine::new();
    let run = |runs: &str, models: &str, role| {
        let (runs, models) = (postgres.uri(runs), postgres.uri(models));
        let stores = json!({"backendStoreUri": runs, "registryStoreUri": models});
        ends(&machine, &operators(&stores), role, VERSION)
    };
    let revision =
        |database: &str| postgres.query(database, "SELECT version_num FROM alembic_version");

    // One that is behind and one that is empty come to the same revision.
    before_the_last(&machine, &postgres.uri("runs"));
    let behind = revision("runs");
    assert_eq!(run("runs", "models", Role::Check).0, 0);
    assert_eq!(revision("runs"), behind, "a look changes nothing");
    assert_eq!(run("runs", "models", Role::Migrate).0, 0);
    assert_ne!(revision("runs"), behind);
    assert_eq!(revision("runs"), revision("models"));

    // A database that keeps its revision whatever is done.
    before_the_last(&machine, &postgres.uri("stuck"));
    postgres.query(
        "stuck",
        "CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN NEW.version_num := OLD.version_num; RETURN NEW; END'; \
         CREATE TRIGGER stay BEFORE UPDATE ON alembic_version \
         FOR EACH ROW EXECUTE FUNCTION stay()",
    );
    let (code, words) = run("stuck", "stuck", Role::Migrate);
    assert_eq!(code, 13, "{words}");
    assert!(words.contains(behind.trim()), "{words}");

    // One that a newer MLflow has migrated. The look says so before anything is stopped.
    assert_eq!(run("newer", "newer", Role::Migrate).0, 0);
    postgres.query(
        "newer",
        "UPDATE alembic_version SET version_num = 'ffffffffffff'",
    );
    for role in [Role::Check, Role::Migrate] {
        let (code, words) = run("newer", "newer", role);
        assert_eq!(code, 14, "{words}");
        assert!(words.contains("ffffffffffff"), "{words}");
    }

    // One that somebody else migrates.
    let held = "locktype = 'advisory' AND granted";
    let other = postgres.session("busy", &format!("SELECT pg_advisory_lock({LOCK})"));
    postgres.until_locks("busy", 1, held);
    let (code, words) = run("busy", "busy", Role::Migrate);
    assert_eq!(code, 15, "{words}");
    drop(other);
    postgres.until_locks("busy", 0, held);
    assert_eq!(run("busy", "busy", Role::Migrate).0, 0, "another try helps");
}

#[test]
#[ignore = "runs MLflow and PostgreSQL from PyPI; `cargo xtask test --full` has it"]
fn one_that_is_killed_half_way_is_done_again() {
    let postgres = Postgres::start(&["runs"]);
    let machine = Machine::new();
    let uri = postgres.uri("runs");
    before_the_last(&machine, &uri);
    let revision = || postgres.query("runs", "SELECT version_num FROM alembic_version");
    let behind = revision();
    // The migration gets to its last step, which nobody lets it do.
    let reader = "BEGIN; LOCK TABLE alembic_version IN SHARE MODE";
    let reader = postgres.session("runs", reader);
    let waits = "NOT granted AND relation = 'alembic_version'::regclass";
    let objects = operators(&json!({"backendStoreUri": uri}));
    let job = pod(&objects, Role::Migrate, VERSION);
    let migration = machine.start(&job, "db-migrate");
    postgres.until_locks("runs", 1, waits);
    drop(migration);
    postgres.until_locks("runs", 0, waits);
    drop(reader);
    assert_eq!(revision(), behind);
    assert_eq!(ends(&machine, &objects, Role::Migrate, VERSION).0, 0);
    assert_ne!(revision(), behind);
}

/// Makes the tables of a database as they were before the image's last revision.
fn before_the_last(machine: &Machine, uri: &str) {
    let script = "
import sys
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base
engine = utils.create_sqlalchemy_engine(sys.argv[1])
Base.metadata.create_all(engine)
config = utils._get_alembic_config(sys.argv[1])
head = ScriptDirectory.from_config(config).get_revision('head')
with engine.begin() as connection:
    config.attributes['connection'] = connection
    command.upgrade(config, head.down_revision)
";
    let mut python: Command = machine.python(script);
    said(python.arg(uri));
}

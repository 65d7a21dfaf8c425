//! Comparison with what the Go operators were recorded to do: the same objects, but for the entries
//! of a file of differences.
//!
//! The recordings are not part of the project. Where they are missing, one line says so.

mod differences;
mod live;
mod normalise;
mod sent;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Once;

use runtime::offline::{Platform, documents};
use serde_json::Value;

pub use differences::{Differences, Found};
pub use live::{events, live, said};
pub use normalise::{diff, object};
pub use sent::sent;

/// The folder `part` of the recordings, which are in `COMPAT_DIR` or in `../shared/compat` beside
/// the workspace. Without it, that is said once, past the capture of the test harness, which keeps
/// what a passing test prints.
pub fn folder(part: &str) -> Option<PathBuf> {
    static NOTICE: Once = Once::new();
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compat");
    let root = std::env::var_os("COMPAT_DIR").map_or(beside, PathBuf::from);
    let found = Some(root.join(part)).filter(|folder| folder.is_dir());
    if found.is_none() {
        NOTICE.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "not compared with the Go operator: there is no folder with recordings (COMPAT_DIR)"
            );
        });
    }
    found
}

/// The cases in a folder of the recordings: the folders in it, by name.
pub fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut cases: Vec<_> = folder
        .read_dir()
        .expect("cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

/// The name of a case.
pub fn name(case: &Path) -> &str {
    case.file_name()
        .and_then(|name| name.to_str())
        .expect("a name")
}

/// The documents of a file.
pub fn read(path: &Path) -> Vec<Value> {
    let source = path.display().to_string();
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{source}: {error}"));
    documents::read(&text, &source).expect("documents")
}

/// The resource of a case, and what it refers to.
pub fn resource(folder: &Path) -> (Value, Vec<Value>) {
    let mut documents = read(&folder.join("cr.yaml"));
    let resource = documents.pop().expect("a resource");
    (resource, documents)
}

/// Objects by kind and name.
pub type Objects = BTreeMap<String, Value>;

/// `objects` by `KIND NAME`, as [`object`] makes them comparable.
pub fn keyed(objects: impl IntoIterator<Item = Value>, fixed: &[&str]) -> Objects {
    let key = |object: &Value| {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let kind = text("/kind").expect("a kind");
        format!("{kind} {}", text("/metadata/name").expect("a name"))
    };
    let objects = objects.into_iter();
    objects.map(|one| (key(&one), object(one, fixed))).collect()
}

/// Compares the cases of `recordings` on both platforms, of which there have to be more than
/// `least`, but for the entries of `differences.yaml` in the folder `package`. `both` gives what was
/// recorded and what is made of a case, or why it is not compared.
pub fn assert_equal(
    (package, recordings): (&Path, &Path),
    least: usize,
    both: impl Fn(Platform, &Path) -> Result<(Objects, Objects), &'static str>,
) {
    let differences = Differences::read(&package.join("differences.yaml"));
    let mut found = BTreeSet::new();
    let mut compared = 0;
    for (name, platform) in [
        ("plain", Platform::Kubernetes),
        ("openshift", Platform::OpenShift),
    ] {
        for folder in &cases(&recordings.join(name)) {
            let case = format!("{name}/{}", self::name(folder));
            match both(platform, folder) {
                Ok((theirs, ours)) => {
                    compared += 1;
                    compare(&case, &theirs, &ours, &mut found);
                }
                Err(reason) => println!("{case}: not compared, {reason}"),
            }
        }
    }
    println!("{compared} cases compared");
    assert!(compared > least, "only {compared} cases were found");
    let report = differences.check(&found);
    assert!(report.is_empty(), "{report}");
}

/// Adds every place in which the two sides differ. Objects are compared by their keys.
pub fn compare(case: &str, theirs: &Objects, ours: &Objects, found: &mut BTreeSet<Found>) {
    let objects: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
    for object in objects {
        diff(
            "",
            theirs.get(object),
            ours.get(object),
            &mut |path, theirs, ours| {
                found.insert(Found {
                    case: case.to_owned(),
                    object: object.clone(),
                    path: path.to_owned(),
                    values: format!("\n    theirs: {theirs}\n    ours:   {ours}"),
                });
            },
        );
    }
}

/// Panics where taking over from `theirs` to `ours` changes what the API server lets nobody change, or
/// the value at one of `pointers`; or where an object goes that is not one of `gone`, or one of those
/// stays.
pub fn assert_taken_over(theirs: &Objects, ours: &Objects, pointers: &[&str], gone: &[&str]) {
    for (object, theirs) in theirs {
        let Some(ours) = ours.get(object) else {
            assert!(gone.contains(&object.as_str()), "{object} is not made");
            continue;
        };
        assert!(!gone.contains(&object.as_str()), "{object} is made");
        let mut pointers = pointers.to_vec();
        pointers.extend(["/roleRef", "/spec/accessModes", "/type"]);
        if object.starts_with("Deployment ") {
            pointers.push("/spec/selector");
        }
        for pointer in pointers {
            assert_eq!(
                ours.pointer(pointer),
                theirs.pointer(pointer),
                "{object}{pointer}"
            );
        }
    }
}

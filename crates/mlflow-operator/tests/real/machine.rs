//! What a kubelet does for a pod, as far as a container's process sees it: volumes with the keys of
//! Secrets and ConfigMaps, environment, command and arguments. There is no container: the paths of
//! mounts in arguments and environment become folders of this machine, and the image's programs are
//! those of a virtual environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use k8s_openapi::ByteString;
use regex::{Captures, Regex};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, guarded, said};

/// What the image of the server holds, as far as it is on PyPI: `prometheus-flask-exporter` for
/// `--expose-prometheus`, `Flask-WTF` for the stock authentication. From 2.1 on SQLAlchemy takes
/// another driver for `postgresql://` than the image has.
const IMAGE: [&str; 6] = [
    "mlflow==3.14.0",
    "SQLAlchemy==2.0.58",
    "boto3==1.44.5",
    "psycopg2-binary==2.9.13",
    "prometheus-flask-exporter==0.23.2",
    "Flask-WTF==1.3.0",
];

/// A node: its volumes outlive the pods that mount them.
pub(crate) struct Machine {
    folder: TempDir,
    image: PathBuf,
    /// Of Secrets and ConfigMaps, by name: key and text.
    inputs: BTreeMap<String, BTreeMap<String, String>>,
    /// What every process has besides: the way to the Service.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let image = cluster::tools::python("mlflow", &IMAGE).expect("a Python environment");
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            image,
            inputs: BTreeMap::new(),
            environment: BTreeMap::new(),
        }
    }

    /// Makes a Secret or ConfigMap; pods that start later have it.
    pub(crate) fn put(&mut self, name: &str, entries: &[(&str, &str)]) {
        let own = |(key, text): &(&str, &str)| ((*key).to_owned(), (*text).to_owned());
        self.inputs
            .insert(name.to_owned(), entries.iter().map(own).collect());
    }

    /// The Secret of a name, as the operator reads it.
    pub(crate) fn secret(&self, name: &str) -> Value {
        let bytes = |text: &String| ByteString(text.clone().into_bytes());
        let data = self.inputs[name].iter();
        let data: BTreeMap<_, _> = data.map(|(key, text)| (key, bytes(text))).collect();
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})
    }

    /// The folder of a volume.
    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.folder.path().join("volumes").join(name)
    }

    /// What a container leaves for its status, at `terminationMessagePath`.
    pub(crate) fn last_words(&self) -> PathBuf {
        self.folder.path().join("termination-log")
    }

    /// The command of a container that runs to its end, with the pod's volumes made.
    pub(crate) fn command(&self, pod: &Value, container: &str) -> Command {
        self.container(pod, container, Command::new)
    }

    fn container(
        &self,
        pod: &Value,
        container: &str,
        command: impl Fn(PathBuf) -> Command,
    ) -> Command {
        for volume in list(&pod["volumes"]) {
            self.make(volume);
        }
        let lists = ["initContainers", "containers"].map(|field| list(&pod[field]));
        let mut all = lists.iter().copied().flatten();
        let found = all.find(|candidate| candidate["name"] == container);
        let container = found.unwrap_or_else(|| panic!("no container {container}"));
        let here = self.paths(container);
        let words: Vec<_> = ["command", "args"]
            .into_iter()
            .flat_map(|field| list(&container[field]))
            .map(|word| here(text(word)))
            .collect();
        let path = std::env::var("PATH").unwrap_or_default();
        // A program is looked for in the environment of the process that runs it.
        let program = self.image.join(&words[0]);
        let program = if program.exists() {
            program
        } else {
            words[0].clone().into()
        };
        let mut command = command(program);
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", format!("{}:{path}", self.image.display()))
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.volume("tmp"))
            .current_dir(self.folder.path())
            .envs(&self.environment)
            .stdin(Stdio::null());
        for source in list(&container["envFrom"]) {
            let name = [
                &source["secretRef"]["name"],
                &source["configMapRef"]["name"],
            ];
            let name = name.into_iter().find_map(Value::as_str).expect("a name");
            command.envs(&self.inputs[name]);
        }
        for entry in list(&container["env"]) {
            let reference = &entry["valueFrom"]["secretKeyRef"];
            let value = match entry["value"].as_str() {
                Some(value) => here(value),
                None => self.inputs[text(&reference["name"])][text(&reference["key"])].clone(),
            };
            command.env(text(&entry["name"]), value);
        }
        command
    }

    /// Runs the init containers and starts the container.
    pub(crate) fn start(&self, pod: &Value, container: &str) -> Process {
        for init in list(&pod["initContainers"]) {
            said(&mut self.command(pod, text(&init["name"])));
        }
        let log = self.folder.path().join(format!("{container}.log"));
        Process::start(self.container(pod, container, guarded), log)
    }

    /// Python of the image, for a client.
    pub(crate) fn python(&self, script: &str) -> Command {
        let mut command = Command::new(self.image.join("python"));
        command
            .args(["-c", script])
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .envs(&self.environment)
            .stdin(Stdio::null());
        command
    }

    /// Makes a volume with what is mounted of a Secret or ConfigMap.
    fn make(&self, volume: &Value) {
        let folder = self.volume(text(&volume["name"]));
        fs::create_dir_all(&folder).expect("a folder");
        let names = ["/secret/secretName", "/configMap/name"];
        let name = names.iter().find_map(|path| volume.pointer(path)?.as_str());
        let Some(name) = name else { return };
        let optional = ["secret", "configMap"]
            .iter()
            .any(|source| volume[source]["optional"] == true);
        match self.inputs.get(name) {
            Some(entries) => {
                for (key, text) in entries {
                    fs::write(folder.join(key), text).expect("a file");
                }
            }
            None => assert!(optional, "the pod waits: {name} does not exist"),
        }
    }

    /// Replaces the paths of a container's mounts by folders of this machine. `--static-prefix` is
    /// the path of a URL.
    fn paths(&self, container: &Value) -> impl Fn(&str) -> String {
        let mounts = list(&container["volumeMounts"]).iter();
        let mounts =
            mounts.map(|mount| (text(&mount["mountPath"]), self.volume(text(&mount["name"]))));
        let folders: BTreeMap<_, _> = mounts
            .chain([("/dev/termination-log", self.last_words())])
            .map(|(path, folder)| (path.to_owned(), folder.display().to_string()))
            .collect();
        let known: Vec<_> = folders.keys().map(|path| regex::escape(path)).collect();
        let pattern = format!(r#"(^|//|[=\s"])({})([/\s"]|$)"#, known.join("|"));
        let pattern = Regex::new(&pattern).expect("a pattern");
        move |word| {
            if word.starts_with("--static-prefix=") {
                return word.to_owned();
            }
            let replace =
                |found: &Captures<'_>| format!("{}{}{}", &found[1], folders[&found[2]], &found[3]);
            pattern.replace_all(word, replace).into_owned()
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

//! What the demo shows: operators, and samples that must become available.

use crate::operator::Operator;

/// The namespace of what names none.
pub(super) const NAMESPACE: &str = "demo";

/// An operator joins with one entry.
pub(super) const SHOWS: &[Show] = &[
    Show {
        operator: operator("model-registry-operator"),
        samples: &[Sample::of("samples/model-registry/postgres-auto")],
    },
    Show {
        operator: operator("trustyai-operator"),
        samples: &[Sample::of("samples/trustyai/pvc")],
    },
    Show {
        operator: operator("mlflow-operator"),
        samples: &[
            Sample::of("samples/mlflow/mlflow_v1_mlflow_minimal.yaml"),
            Sample::of("samples/mlflow/mlflow_v1_mlflow_digest.yaml"),
            Sample {
                certificate: Some("mlflow-tls"),
                ..Sample::of("samples/mlflow/mlflow_v1_mlflow_manual_tls.yaml")
            },
            Sample {
                inputs: &["samples/mlflow/credentials.yaml"],
                ..Sample::of("samples/mlflow/mlflow_v1_mlflow_remote_storage.yaml")
            },
            Sample {
                inputs: &["samples/mlflow/credentials.yaml"],
                ..Sample::of("samples/mlflow/mlflow_v1_mlflow_trace_archival.yaml")
            },
            Sample {
                inputs: &["samples/mlflow/mlflow_v1_mlflowconfig.yaml"],
                ..Sample::of("samples/mlflow/mlflow_v1_mlflow.yaml")
            },
        ],
    },
];

const fn operator(name: &'static str) -> Operator {
    Operator {
        name,
        variant: "default",
        flags: &[
            "--metrics-bind-address=127.0.0.1:0",
            "--health-probe-bind-address=127.0.0.1:0",
        ],
    }
}

/// An operator and what it is shown with. Its samples come one after the other, because they may
/// have the same name: each goes before the next comes, and the last one stays.
pub(super) struct Show {
    pub(super) operator: Operator,
    pub(super) samples: &'static [Sample],
}

/// A sample, and what its users make before it.
pub(super) struct Sample {
    /// A folder for kustomize, or a file, from the root of the workspace.
    pub(super) path: &'static str,
    /// Files that are applied before.
    pub(super) inputs: &'static [&'static str],
    /// A Secret with a certificate, in the operator's namespace.
    pub(super) certificate: Option<&'static str>,
}

impl Sample {
    const fn of(path: &'static str) -> Self {
        Self {
            path,
            inputs: &[],
            certificate: None,
        }
    }

    /// The folder's name, or the file's without its ending.
    pub(super) fn name(&self) -> &'static str {
        let last = self.path.rsplit('/').next().unwrap_or(self.path);
        last.strip_suffix(".yaml").unwrap_or(last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::steps::root;

    #[test]
    fn every_sample_of_mlflow_is_shown() {
        let shown: BTreeSet<String> = SHOWS
            .iter()
            .flat_map(|show| show.samples)
            .flat_map(|sample| sample.inputs.iter().chain([&sample.path]))
            .map(|path| (*path).to_owned())
            .collect();
        let files = std::fs::read_dir(root().join("samples/mlflow")).unwrap();
        let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let samples: Vec<_> = files
            .filter(|name| {
                let stem = name.strip_suffix(".yaml");
                stem.is_some_and(|stem| stem != "kustomization")
            })
            .map(|name| format!("samples/mlflow/{name}"))
            .collect();
        assert!(samples.len() >= 8, "{samples:?}");
        for sample in samples {
            assert!(shown.contains(&sample), "{sample} is not in {shown:?}");
        }
    }

    #[test]
    fn a_sample_is_called_as_its_file() {
        assert_eq!(Sample::of("samples/a/b.yaml").name(), "b");
        assert_eq!(Sample::of("samples/a/pvc").name(), "pvc");
    }
}

//! `codegen`: files that are written from code, and checked to be as written.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use api::codegen::HEADER;
use model_registry_operator::aihub::deployed;

use crate::steps::root;
use crate::{charts, rights};

/// Every generated file: its path from the root of the workspace, and its content.
fn generated() -> Result<Vec<(String, String)>> {
    let mut files = api::codegen::crd_yaml()?;
    files.extend(api::codegen::references());
    files.extend(charts::readmes()?);
    for rights in rights::all() {
        files.extend(rights.manifests(HEADER)?);
    }
    Ok(files)
}

/// Files that are made of generated ones: what an AIHub deploys.
fn rendered() -> Result<Vec<(String, String)>> {
    let kubectl = cluster::tools::ensure()?.kubectl;
    let output = Command::new(kubectl)
        .args(["kustomize", deployed::OVERLAY])
        .current_dir(root())
        .output()
        .context("kubectl kustomize")?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("kubectl kustomize {}: {message}", deployed::OVERLAY);
    }
    let text = format!("{}{}", HEADER, String::from_utf8(output.stdout)?);
    Ok(vec![(deployed::FILE.to_owned(), text)])
}

/// Writes the generated files, or with `check` names those that differ.
pub(crate) fn run(check: bool) -> Result<()> {
    write(check, &generated()?)?;
    write(check, &rendered()?)
}

fn write(check: bool, files: &[(String, String)]) -> Result<()> {
    let different = differing(&root(), files);
    if check {
        if !different.is_empty() {
            let names: Vec<&str> = different.iter().map(|(path, _)| path.as_str()).collect();
            bail!(
                "not as generated: {}; run `cargo xtask codegen` and commit",
                names.join(", ")
            );
        }
        eprintln!("{} files are as generated", files.len());
        return Ok(());
    }
    for (path, content) in &different {
        let file = root().join(path);
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        }
        fs::write(&file, content).with_context(|| file.display().to_string())?;
        eprintln!("wrote {path}");
    }
    eprintln!("{} of {} files changed", different.len(), files.len());
    Ok(())
}

/// The files that are missing or have another content.
fn differing<'a>(root: &Path, files: &'a [(String, String)]) -> Vec<&'a (String, String)> {
    files
        .iter()
        .filter(|(path, content)| {
            fs::read_to_string(root.join(path)).ok().as_ref() != Some(content)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_and_a_missing_file_differ() {
        let dir = std::env::temp_dir().join(format!("codegen-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("same"), "a").unwrap();
        fs::write(dir.join("other"), "b").unwrap();
        let files = ["same", "other", "missing"].map(|name| (name.to_owned(), "a".to_owned()));
        let names: Vec<_> = differing(&dir, &files)
            .into_iter()
            .map(|(path, _)| path.as_str())
            .collect();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(names, ["other", "missing"]);
    }
}

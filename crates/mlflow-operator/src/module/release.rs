//! What the platform is told that runs, and in which version.

use api::module::Release;
use serde_json::Value;

use super::error::Error;

/// Longest version.
pub const LONGEST: usize = 64;

/// Name of MLflow's release.
const MLFLOW: &str = "MLflow";

/// The platform's version as its ConfigMap says it; `None` where there is no ConfigMap or it says
/// none.
///
/// # Errors
/// It says something else than a version.
pub fn platform_version(config: Option<&Value>, namespace: &str) -> Result<Option<String>, Error> {
    let said = config.and_then(|config| config.pointer("/data/platformVersion")?.as_str());
    let said = said.map(str::trim).filter(|said| !said.is_empty());
    match said {
        Some(said) if !is_version(said) => Err(Error::PlatformVersion {
            namespace: namespace.to_owned(),
            found: said.chars().take(LONGEST).collect(),
        }),
        said => Ok(said.map(str::to_owned)),
    }
}

/// Whether this is a semantic version of the platform's length, with or without a `v` before it.
fn is_version(text: &str) -> bool {
    let bare = text.strip_prefix('v').unwrap_or(text);
    text.len() <= LONGEST && semver::Version::parse(bare).is_ok()
}

/// The releases: the platform's, where it is known, then MLflow's.
#[must_use]
pub fn releases(platform: Option<&str>, mlflow: &str) -> Vec<Release> {
    let platform = platform.map(Release::platform);
    let mlflow = Release {
        repo_url: Some("https://github.com/mlflow/mlflow".to_owned()),
        ..Release::of(MLFLOW, mlflow)
    };
    platform.into_iter().chain([mlflow]).collect()
}

/// The platform's version among releases that were told before.
#[must_use]
pub fn told(releases: &[Release]) -> Option<&str> {
    let known = releases.iter().find(|release| release.is_platform());
    known.and_then(|release| release.version.as_deref())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(version: &str) -> Result<Option<String>, Error> {
        let config = json!({"data": {"platformVersion": version}});
        platform_version(Some(&config), "odh")
    }

    #[test]
    fn a_platform_says_a_semantic_version_or_nothing() {
        for version in ["2.30.1", "v3.0.0", "3.2.0-rc.1+build.7"] {
            assert_eq!(read(version).unwrap().as_deref(), Some(version));
        }
        assert_eq!(read("  2.30.1\n").unwrap().as_deref(), Some("2.30.1"));
        for nothing in [
            platform_version(None, "odh"),
            platform_version(Some(&json!({"data": {}})), "odh"),
            read(""),
        ] {
            assert_eq!(nothing, Ok(None));
        }
        let long = format!("1.0.0-{}", "a".repeat(LONGEST));
        for wrong in ["latest", "2.30", "1.2.3.4", &long] {
            let message = read(wrong).unwrap_err().to_string();
            let start = "ConfigMap odh/odh-mlflowoperator-config: platformVersion";
            assert!(message.starts_with(start), "{message}");
            assert!(message.len() < 300, "{message}");
        }
    }

    #[test]
    fn the_platform_comes_first() {
        let all = releases(Some("2.30.1"), "3.14.0");
        assert_eq!(told(&all), Some("2.30.1"));
        let names: Vec<&str> = all.iter().map(|release| release.name.as_str()).collect();
        assert_eq!(names, ["platform", "MLflow"]);
        assert_eq!(told(&releases(None, "3.14.0")), None);
    }
}

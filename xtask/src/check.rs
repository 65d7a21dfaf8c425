//! `setup`, `lint` and `test`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use cluster::{COLLECTED_AUDIT, tools};

use crate::steps::{Steps, cargo, root, run, test as cargo_test};
use crate::{codegen, e2e, rights, upstream};

/// A checker that is built from its crate, at this version.
struct Checker {
    krate: &'static str,
    version: &'static str,
    program: &'static str,
}

const DENY: Checker = Checker {
    krate: "cargo-deny",
    version: "0.20.2",
    program: "cargo-deny",
};
const TYPOS: Checker = Checker {
    krate: "typos-cli",
    version: "1.52.0",
    program: "typos",
};

impl Checker {
    /// Where it is, built before if need be. Without optimisation, because it is built more often
    /// than it runs.
    fn ensure(&self) -> Result<PathBuf> {
        let dir = tools::cache_dir()?
            .join("tools")
            .join(format!("{}-{}", self.krate, self.version));
        let program = dir.join("bin").join(self.program);
        if !program.exists() {
            eprintln!("building {} {} (once)", self.krate, self.version);
            let install = [
                "install",
                self.krate,
                "--version",
                self.version,
                "--locked",
                "--debug",
                "--quiet",
                "--root",
            ];
            let mut command = cargo(&install);
            // Not in this workspace's target directory: other flags there rebuild the workspace.
            command
                .arg(&dir)
                .arg("--target-dir")
                .arg(dir.join("target"))
                .env_remove("CARGO_TARGET_DIR");
            run(&mut command)?;
            std::fs::remove_dir_all(dir.join("target"))
                .context("removing what was only needed to build")?;
        }
        Ok(program)
    }
}

/// Builds what the other tasks need; `full` fetches every dependency, too, so that no task after
/// it asks the network.
pub(crate) fn setup(full: bool) -> Result<()> {
    tools::ensure()?;
    tools::images()?;
    tools::s3()?;
    tools::helm()?;
    DENY.ensure()?;
    TYPOS.ensure()?;
    if full {
        run(&mut cargo(&["fetch", "--locked"]))?;
    }
    Ok(())
}

/// Looks at the sources without running them. `full` asks the network, too.
pub(crate) fn lint(full: bool) -> Result<()> {
    let mut steps = Steps::new();
    lint_steps(&mut steps, full);
    steps.finish()
}

fn lint_steps(steps: &mut Steps, full: bool) {
    steps.step("format", || run(&mut cargo(&["fmt", "--all", "--check"])));
    steps.step("spelling", || {
        run(Command::new(TYPOS.ensure()?).current_dir(root()))
    });
    steps.step("dependencies", || deny(&["bans", "licenses", "sources"]));
    if full {
        steps.step("advisories", || deny(&["advisories"]));
    }
    steps.step("clippy", || {
        run(&mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    });
    steps.step("generated files", || codegen::run(true));
    steps.step("cases of the Go operators", upstream::check);
}

fn deny(checks: &[&str]) -> Result<()> {
    let mut command = Command::new(DENY.ensure()?);
    command
        .args([
            "--all-features",
            "--log-level",
            "error",
            "check",
            "--hide-inclusion-graph",
        ])
        .args(checks);
    run(command.current_dir(root()))
}

/// Tests that need an API server, of whatever version it is.
const AGAINST_SERVERS: [&str; 11] = [
    "test",
    "--locked",
    "--no-fail-fast",
    "--package=runtime",
    "--package=model-registry-operator",
    "--package=trustyai-operator",
    "--test=engine",
    "--test=server",
    "--test=takeover",
    "--test=process",
    "--quiet",
];

/// Tests of generated cases, as many as `PROPTEST_CASES` says.
const GENERATED: [&str; 7] = [
    "test",
    "--locked",
    "--package=model-registry-operator",
    "--package=conditions",
    "--test=plan_properties",
    "--test=properties",
    "--no-fail-fast",
];

/// Everything that must hold before a change goes in. The tests come last, so that their closing
/// lines are what one sees. `full` adds the tests that are marked `ignored` for their time, and many
/// more generated cases.
pub(crate) fn test(full: bool) -> Result<()> {
    let mut steps = Steps::new();
    steps.step("setup", || setup(full));
    // Advisories change with the day, not with the change: `lint --full` asks for them.
    lint_steps(&mut steps, false);
    let recorded = std::env::var_os("COMPAT_DIR")
        .map_or_else(|| root().join("../shared/compat"), PathBuf::from);
    if !recorded.is_dir() {
        eprintln!(
            "not run: the comparison with recorded behaviour, because {} is not there\n",
            recorded.display()
        );
    }
    let all = ["test", "--workspace", "--locked", "--no-fail-fast"];
    steps.step("tests", || {
        let audit = rights::prepare()?;
        cargo_test(&all, &[(COLLECTED_AUDIT, &audit.to_string_lossy())])
    });
    steps.step("rights of the operators", rights::check);
    steps.step("declarative tests", e2e::all);
    if full {
        steps.step("slow tests", || {
            cargo_test(&[all.as_slice(), &["--", "--ignored"]].concat(), &[])
        });
        steps.step("many generated cases", || {
            cargo_test(&GENERATED, &[("PROPTEST_CASES", "20000")])
        });
        steps.step("oldest Kubernetes", || {
            cargo_test(
                &AGAINST_SERVERS,
                &[("MODELOPS_KUBERNETES", tools::OLDEST_VERSION)],
            )
        });
    }
    steps.finish()
}

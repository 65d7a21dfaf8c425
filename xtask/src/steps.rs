//! Steps of a longer task: each named, timed, and all reported though one fails.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map_or_else(|| xtask.clone(), PathBuf::from)
}

/// Steps that have run.
pub(crate) struct Steps {
    started: Instant,
    failed: Vec<String>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            failed: Vec::new(),
        }
    }

    /// Runs a step and says how long it took. A failure is remembered; the next step still runs.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        eprintln!("── {name}");
        let started = Instant::now();
        let outcome = work();
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => eprintln!("── {name}: ok, {seconds:.1} s\n"),
            Err(error) => {
                eprintln!("error: {error:#}\n── {name}: FAILED, {seconds:.1} s\n");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Fails if a step failed, naming it.
    pub(crate) fn finish(self) -> Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        if !self.failed.is_empty() {
            bail!("failed: {} ({seconds:.0} s in all)", self.failed.join(", "));
        }
        eprintln!("all steps passed in {seconds:.0} s");
        Ok(())
    }
}

/// `cargo ARGS` in the workspace, with the toolchain that runs this.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Runs a command and fails as it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("running {program}"))?;
    if !status.success() {
        let args: Vec<_> = command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect();
        bail!("`{program} {}` ended with {status}", args.join(" "));
    }
    Ok(())
}

/// Runs `cargo test` with its output as it is, and adds its result lines up at the end.
pub(crate) fn test(args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    let mut child = cargo(args)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("running cargo test")?;
    let mut total = Total::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("reading the output of cargo test")?;
            println!("{line}");
            total.add(&line);
        }
    }
    let status = child.wait().context("waiting for cargo test")?;
    println!(
        "all test binaries: {} passed; {} failed; {} ignored; {} binaries",
        total.passed, total.failed, total.ignored, total.binaries
    );
    if !status.success() {
        bail!("cargo test ended with {status}");
    }
    Ok(())
}

/// The sum of the closing lines of test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u32,
    failed: u32,
    ignored: u32,
    binaries: u32,
}

impl Total {
    /// Adds a line like `test result: ok. 3 passed; 0 failed; 1 ignored; …`; others count nothing.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.binaries += 1;
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let number = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up() {
        let mut total = Total::default();
        for line in [
            "test something ... ok",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ] {
            total.add(line);
        }
        assert_eq!(
            total,
            Total {
                passed: 5,
                failed: 1,
                ignored: 1,
                binaries: 2
            }
        );
    }
}

//! What a process uses, from /proc.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Ticks of a second in /proc; the kernel shows 100 on every architecture that Rust's std has.
const TICKS: f64 = 100.0;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Usage {
    /// The most memory that was resident at once, in KiB.
    pub(crate) peak_kib: u64,
    /// What of it is not shared with files: heap and stacks, now, in KiB.
    pub(crate) anonymous_kib: u64,
    /// Seconds on a processor, in user and kernel mode.
    pub(crate) cpu_seconds: f64,
    /// Its threads, now.
    pub(crate) threads: u64,
}

/// Reads /proc/PID.
pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let file = |name: &str| {
        let path = format!("/proc/{pid}/{name}");
        std::fs::read_to_string(&path).context(path)
    };
    let (status, stat) = (file("status")?, file("stat")?);
    let field = |name| number(&status, name).with_context(|| format!("/proc/{pid}/status: {name}"));
    Ok(Usage {
        peak_kib: field("VmHWM")?,
        anonymous_kib: field("RssAnon")?,
        cpu_seconds: cpu_seconds(&stat).with_context(|| format!("/proc/{pid}/stat"))?,
        threads: field("Threads")?,
    })
}

/// The child of a process that runs a program.
pub(crate) fn child(parent: u32, program: &Path) -> Option<u32> {
    let program = program.canonicalize().ok()?;
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let exe: PathBuf = std::fs::read_link(entry.path().join("exe")).ok()?;
            (after_name(&stat)?.nth(1)? == parent.to_string() && exe == program).then_some(pid)
        })
}

/// A number of /proc/PID/status.
fn number(status: &str, name: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut times = after_name(stat)?.skip(11);
    let user: u32 = times.next()?.parse().ok()?;
    let system: u32 = times.next()?.parse().ok()?;
    Some(f64::from(user + system) / TICKS)
}

/// The fields of /proc/PID/stat after the program's name, which may hold anything: state, parent, …
fn after_name(stat: &str) -> Option<std::str::SplitWhitespace<'_>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_parenthesis_misleads_nobody() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194560 9 0 0 0 120 34 0 0 20 0 5 0 99";
        assert_eq!(cpu_seconds(stat), Some(1.54));
        assert_eq!(after_name(stat).unwrap().nth(1), Some("3"));
        assert_eq!(cpu_seconds("7 (a) S"), None);
    }

    #[test]
    fn a_status_field_is_found_by_its_whole_name() {
        let status = "VmHWMx:\t1 kB\nVmHWM:\t  2048 kB\nThreads:\t5\n";
        assert_eq!(number(status, "VmHWM"), Some(2048));
        assert_eq!(number(status, "Threads"), Some(5));
        assert_eq!(number(status, "RssAnon"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.peak_kib >= usage.anonymous_kib && usage.anonymous_kib > 0);
        assert!(usage.threads > 0);
    }

    #[test]
    fn a_child_is_found_by_its_program() {
        let sleep = Path::new("/bin/sleep");
        let mut process = std::process::Command::new(sleep).arg("60").spawn().unwrap();
        // Between fork and exec it is still us.
        let found = (0..100).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            child(std::process::id(), sleep)
        });
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(found, Some(process.id()));
    }
}

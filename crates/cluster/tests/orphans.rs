//! Nothing of a cluster outlives the process that started it.
#![cfg(test)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cluster::{Cluster, Options};

/// Set for the child: hold a cluster and tell its process ids.
const HOLD: &str = "HOLD_A_CLUSTER";

/// The same function is the parent, and in a second process the child that gets killed.
#[test]
fn a_killed_process_leaves_no_server_and_no_file() {
    if std::env::var_os(HOLD).is_some() {
        let cluster = Cluster::start(&Options::default()).unwrap();
        let pids: Vec<String> = cluster
            .pids()
            .into_iter()
            .map(|(_, pid)| pid.to_string())
            .collect();
        println!("\nholding {} {}", cluster.dir().display(), pids.join(" "));
        std::thread::sleep(Duration::from_mins(5));
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_killed_process_leaves_no_server_and_no_file",
            "--nocapture",
        ])
        .env(HOLD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines
        .map_while(Result::ok)
        .find(|line| line.starts_with("holding "))
        .unwrap();
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let (dir, pids) = words.split_first().unwrap();
    assert_eq!(pids.len(), 5, "{pids:?}");
    assert!(Path::new(dir).exists() && pids.iter().all(|pid| runs(pid)));

    child.kill().unwrap(); // SIGKILL: no destructor runs.
    child.wait().unwrap();

    let killed = Instant::now();
    while pids.iter().any(|pid| runs(pid)) || Path::new(dir).exists() {
        let left: Vec<_> = pids.iter().filter(|pid| runs(pid)).collect();
        assert!(
            killed.elapsed() < Duration::from_secs(10),
            "left: {left:?}, {dir}: {}",
            Path::new(dir).exists()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_dropped_cluster_leaves_no_server_and_no_file() {
    let cluster = Cluster::start(&Options::default()).unwrap();
    let (pids, dir) = (cluster.pids(), cluster.dir().to_owned());
    drop(cluster);
    assert!(pids.iter().all(|(_, pid)| !runs(&pid.to_string())));
    assert!(!dir.exists());
}

/// Whether a process exists and is no zombie.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}

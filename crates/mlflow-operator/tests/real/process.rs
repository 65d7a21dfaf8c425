//! Processes of this machine that end with the test, however that ends.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs the program in `"$@"`. At the end of a pipe from the test it kills the whole process group;
/// SIGTERM it hands on.
const GUARDED: &str = r#"exec 3<&0
"$@" </dev/null 3<&- & pid=$!
{ cat <&3 >/dev/null; kill -KILL 0; } &
exec 3<&-
trap 'kill -TERM $pid' TERM
while kill -0 $pid 2>/dev/null; do wait $pid; done"#;

/// `terminationGracePeriodSeconds` of a pod that says none.
const GRACE: Duration = Duration::from_secs(30);

/// The command of a program for [`Process::start`].
pub(crate) fn guarded(program: PathBuf) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", GUARDED, "sh"]).arg(program);
    command
}

/// A process that runs until this value goes.
pub(crate) struct Process {
    shell: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a [`guarded`] command, with its output in a file.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let output = File::create(&log).expect("a log");
        command
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output)
            .process_group(0);
        let shell = command.spawn().expect("a process");
        Self { shell, log }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn has_ended(&mut self) -> bool {
        self.shell.try_wait().expect("a process").is_some()
    }

    /// Fails with the log if it has ended.
    pub(crate) fn check(&mut self) {
        assert!(!self.has_ended(), "it has ended:\n{}", self.log());
    }

    /// Ends it as a kubelet does, and waits as long as one would.
    pub(crate) fn end(mut self) {
        let shell = self.shell.id().to_string();
        said(Command::new("kill").args(["-TERM", &shell]));
        let started = Instant::now();
        while !self.has_ended() {
            assert!(
                started.elapsed() < GRACE,
                "it does not end:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// What a command prints; it must succeed.
pub(crate) fn said(command: &mut Command) -> String {
    let output = command.output().expect("a process");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{} ended with {}:\n{}{}",
        command.get_program().display(),
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    said(Command::new("cp").arg("-R").arg(from).arg(to));
}

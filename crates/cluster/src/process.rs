//! Servers that never outlive the process that started them.
//!
//! All servers of a cluster are in the process group of a small shell, the guardian. Its standard
//! input is a pipe that only this process holds: when this process ends, in whatever way, `kill -9`
//! included, the kernel closes the pipe, the guardian reads the end of file, removes the cluster's
//! directory and kills the whole group. A terminal's Ctrl-C reaches only us, and so it is the same.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Error;
use crate::tools::tail;

const GUARDIAN: &str =
    r#"while read -r _; do :; done; [ -z "$1" ] || rm -rf -- "$1"; kill -KILL 0"#;

/// The process group of one cluster's servers.
pub(crate) struct Guardian {
    shell: Child,
    servers: Vec<Server>,
}

struct Server {
    program: String,
    child: Child,
    log: PathBuf,
}

impl Guardian {
    /// Starts the shell; `dir` goes when the servers go.
    pub(crate) fn start(dir: &Path) -> Result<Self, Error> {
        let shell = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian"])
            .arg(dir)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io("starting sh"))?;
        Ok(Self {
            shell,
            servers: Vec::new(),
        })
    }

    /// Starts a server in the group, its output in `DIR/logs/NAME.log`.
    pub(crate) fn spawn(
        &mut self,
        program: &Path,
        dir: &Path,
        args: &[String],
    ) -> Result<(), Error> {
        let name = program
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let log = dir.join("logs").join(format!("{name}.log"));
        let out = File::create(&log).map_err(Error::io(log.display().to_string()))?;
        let err = out
            .try_clone()
            .map_err(Error::io(log.display().to_string()))?;
        let group = i32::try_from(self.shell.id()).unwrap_or(0);
        let child = Command::new(program)
            .args(args)
            .current_dir(dir)
            .process_group(group)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(Error::io(format!("starting {}", program.display())))?;
        self.servers.push(Server {
            program: name,
            child,
            log,
        });
        Ok(())
    }

    /// An error that names the first server that has stopped, if one has.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        for server in &mut self.servers {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(server.error(format!("stopped with {status}")));
            }
        }
        Ok(())
    }

    /// An error about a server that runs but does not do its work.
    pub(crate) fn blame(&self, program: &str, problem: &str) -> Option<Error> {
        self.servers
            .iter()
            .find(|server| server.program == program)
            .map(|server| server.error(problem.to_owned()))
    }

    /// The process ids of the servers, by name.
    pub(crate) fn pids(&self) -> Vec<(String, u32)> {
        self.servers
            .iter()
            .map(|server| (server.program.clone(), server.child.id()))
            .collect()
    }
}

impl Server {
    fn error(&self, problem: String) -> Error {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        Error::Server {
            program: self.program.clone(),
            problem,
            tail: tail(&text, 20),
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // A child that cannot be waited for is gone already.
        let _ = self.shell.wait();
        for server in &mut self.servers {
            let _ = server.child.kill();
            let _ = server.child.wait();
        }
    }
}

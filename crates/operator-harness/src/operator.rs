//! An operator's program in a thread of the test's process.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use clap::Parser;
use runtime::args::OperatorArgs;
use runtime::component::Component;
use runtime::operator::{self, Beside, Process};
use runtime::shutdown::Shutdown;
use tokio::sync::Notify;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    args: OperatorArgs,
}

/// The flags of an operator that asks as the account of `kubeconfig`. Health and metrics are not
/// served unless `flags` say where.
pub fn args(kubeconfig: &Path, flags: &[&str]) -> OperatorArgs {
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let unserved = ["--metrics-bind-address=0", "--health-probe-bind-address=0"];
    let is_given = |default: &&str| {
        let name = default.trim_end_matches('0');
        flags.iter().any(|flag| flag.starts_with(name))
    };
    let words = ["operator", &kubeconfig]
        .into_iter()
        .chain(unserved.into_iter().filter(|default| !is_given(default)))
        .chain(flags.iter().copied());
    Flags::parse_from(words).args
}

/// Looks a variable up in a list of them, as an operator does in its environment.
pub fn environment<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

/// An operator in a thread of its own. It ends when it is asked to, or when this is dropped.
pub struct Operator {
    shutdown: Shutdown,
    killed: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Operator {
    /// Starts one; `args` are those of [`args`].
    pub fn start<C: Component>(
        process: Process,
        args: OperatorArgs,
        component: C,
        beside: Beside,
    ) -> Self {
        let shutdown = Shutdown::new();
        let until = shutdown.clone();
        let killed = Arc::new(Notify::new());
        let end = Arc::clone(&killed);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let run = operator::run_until(process, &args, component, beside, until);
            runtime.block_on(async {
                tokio::select! {
                    ended = run => ended.expect("the operator runs"),
                    () = end.notified() => {}
                }
            });
            // Whatever still runs ends where it stands.
            runtime.shutdown_background();
        });
        Self {
            shutdown,
            killed,
            thread: Some(thread),
        }
    }

    /// What ends the operator at once when it is notified, wherever it stands.
    pub fn killer(&self) -> Arc<Notify> {
        Arc::clone(&self.killed)
    }

    /// Ends at once, wherever it stands.
    pub fn kill(mut self) {
        self.killed.notify_one();
        self.join();
    }

    /// Stops in order.
    pub fn stop(mut self) {
        self.shutdown.request();
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the operator does not panic");
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

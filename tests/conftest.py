"""What all tests share: where the models and the evaluation faces are, and loud skips."""

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

from device.errors import PasserbyError
from device.vision import Catalogue, default_directory
from tests.simulators.postgres import Postgres
from tests.simulators.postgres import absent as postgres_absent

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
IN_CI = os.environ.get("CI") == "true"


def absent(what: str) -> None:
    """Skip loudly; in CI, where everything is there, fail instead."""
    if IN_CI:
        pytest.fail(f"{what}: this may be skipped elsewhere, never in CI")
    pytest.skip(what)


@pytest.fixture(scope="session")
def faces():
    """The folder of evaluation faces; never copied into the repository."""
    folder = SHARED / "data/faces"
    if not (folder / "manifest.csv").is_file():
        absent(f"the evaluation faces are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def models():
    """The catalogue, with the operational models here and verified."""
    catalogue = Catalogue.read(default_directory())
    try:
        for entry in catalogue.entries:
            catalogue.verified_path(entry)
    except PasserbyError as error:
        absent(str(error))
    return catalogue


@pytest.fixture
def scratch():
    """A temporary folder with a short path: sockets and messages stay readable."""
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def command():
    """How to start one of our programs as a user does: `command("passerby")` → its path."""
    return lambda name: str(Path(sys.executable).with_name(name))


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL; all tests share it."""
    reason = postgres_absent()
    if reason is not None:
        pytest.skip(reason)
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture
def fresh_postgres(postgres):
    """The address of a database of its own."""
    psycopg = pytest.importorskip("psycopg")
    name = f"t{time.time_ns()}"
    with psycopg.connect(
        f"host=127.0.0.1 port={postgres.port} user=desk dbname=postgres", autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.url.rpartition("/")[0] + f"/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """None for SQLite; a fresh PostgreSQL database."""
    if request.param == "sqlite":
        return None
    return request.getfixturevalue("fresh_postgres")

"""A real PostgreSQL in a folder of its own: a throwaway cluster of an unprivileged user."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.simulators.mosquitto import free_port


def programs():
    """Return the folder with initdb and pg_ctl, or None."""
    on_path = shutil.which("pg_ctl")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in folders if (one / "initdb").is_file()), None)


def _unprivileged():
    """Return how to run as somebody else: PostgreSQL refuses to be started by root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return None


class Postgres:
    """Starts in `__init__`. url: of its database, for SQLAlchemy."""

    def __init__(self):
        self._bin = programs()
        self._as = _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="pg"))
        if self._as:
            os.chown(self._folder, self._as["user"], self._as["group"])
        self.port = free_port()
        self.url = f"postgresql://desk@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "-A", "trust", "-U", "desk", "-E", "UTF8", "-N", "-D", self._data)
        self.start()

    @property
    def _data(self):
        return str(self._folder / "data")

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")

    def stop(self):
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def remove(self):
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program, *arguments):
        done = subprocess.run(
            [self._bin / program, *arguments],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            **self._as,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"


def absent():
    """Return why there is no PostgreSQL to test with, or None."""
    if programs() is None:
        return "PostgreSQL is not installed (apt install postgresql)"
    if _unprivileged() is None:
        return "PostgreSQL refuses root, and there is no other user to start it as"
    return None

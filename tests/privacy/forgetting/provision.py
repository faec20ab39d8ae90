"""A folder with all that `passerby run` needs: configuration, list, keys, and an environment.

Whatever the program would write beside its state directory lands in `home` or `tmp` of that
folder, where it is seen.
"""

import contextlib
import io
import json
import os
import re
import sys
import tempfile
import tomllib
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from device.protocol.keys import encode_keys
from device.protocol.watchlist import Reference, decode_list, encode_list
from device.vision.catalogue import CATALOGUE, default_directory
from tests.conftest import ROOT
from tests.simulators.correspondents import Correspondents
from tests.simulators.pictures import photograph
from tools.desk.main import main as passerby_desk
from tools.lab.random_list import unit

AGENT = Path(__file__).with_name("agent")
ENROLLED = (600_028, 600_040, 600_044)
"""Seeds of the people on the list; no canary is one of them."""
LIST_SIZE = 300
"""From about 250 on, linear algebra that is asked for all scores at once keeps them in memory of
its own: see `device.matching.products`. A shorter list would not show that."""
_ARITHMETIC = ("OPENBLAS_", "NPY_", "OPENCV_CPU", "OPENCV_IPP")
"""Beginnings of variables that choose kernels, and with them the last bits of a product."""
_LOOK_FROM = re.compile(r"^(second_look_from = )\S+", re.MULTILINE)
MODELS = {
    "built-in": {"detector": "passerby-detector-640x480", "embedder": "passerby-embedder"},
    "operational": {"detector": "yunet-s-640x480", "embedder": "omz-0095"},
}


@cache
def _models_folder():
    """Return a folder of models that look at everybody again, also at who is like nobody listed.

    So a stranger goes the longest way, and every stage of it has something to forget.
    """
    made = tempfile.TemporaryDirectory(prefix="models")
    folder, home = Path(made.name), default_directory()
    for each in home.iterdir():
        (folder / each.name).symlink_to(each)
    named = (home / CATALOGUE).read_text()
    (folder / CATALOGUE).unlink()
    (folder / CATALOGUE).write_text(_LOOK_FROM.sub(r"\g<1>-1.0", named))
    return made


@cache
def watchlist(models):
    """Return an unsigned list, as a file's bytes, for one collection of models."""
    with tempfile.TemporaryDirectory(prefix="list") as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        for seed in ENROLLED:
            photograph(folder / "photos" / f"r-{seed}.png", seed)
        line = ["enrol", "--photos", folder / "photos", "--out", folder / "list", "--strict"]
        chosen = [word for role, name in MODELS[models].items() for word in (f"--{role}", name)]
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = passerby_desk([str(word) for word in (*line, *chosen)])
        if code:
            raise RuntimeError(f"The list could not be made: {said.getvalue()}")
        return _longer(decode_list((folder / "list").read_bytes()))


def _longer(watchlist):
    """Add references that mean nobody, until the list is as long as a short real one.

    What is computed of a stranger with a list of three is too short to be looked for.
    """
    rng = np.random.default_rng(1)
    named = [
        Reference(f"random-{number}", [unit(rng, watchlist.dimension).tobytes()])
        for number in range(LIST_SIZE - len(watchlist.references))
    ]
    more = msgspec.structs.replace(watchlist, references=[*watchlist.references, *named])
    return encode_list(more)


def provision(folder, models, port, settings):
    """Write a demonstration's files. settings: table → keys, over those here.

    Returns the two ends of its correspondence.
    """
    between = Correspondents()
    (folder / "state").mkdir(exist_ok=True)
    (folder / "list").write_bytes(watchlist(models))
    (folder / "desk.pub").write_bytes(encode_keys(between.desk_keys.public))
    (folder / "state/identity.key").write_bytes(encode_keys(between.device_keys))
    (folder / "state/identity.key").chmod(0o600)
    tables = {
        "device": {
            "site": between.topics.site,
            "id": between.topics.device,
            "state_directory": "state",
            "demonstration": True,
        },
        "camera": {"kind": "picamera2", "width": 1280, "height": 720, "lores_width": 640},
        # Frames are shown by hand, to a process that may be traced: what is slow is the test. And
        # every one is searched: a frame that is not has no faces to forget.
        "vision": {
            "oldest_frame_ms": 0,
            "latency_ms": 10_000,
            "frame_budget_ms": 0,
            "searches_per_s": 60,
            "follows_per_s": 60,
        },
        "models": MODELS[models] | {"directory": _models_folder().name},
        "watchlist": {"path": "list"},
        "broker": {"host": "127.0.0.1", "port": port, "tls": False},
        "desk": {"public_keys": "desk.pub"},
        "alerts": {"cover": "off", "drain_s": 1.0},
    }
    for table, keys in settings.items():
        tables[table] = tables.get(table, {}) | keys
    (folder / "device.toml").write_text(_toml(tables))
    return between


def state_of(config):
    """Return the state directory that a device.toml names."""
    with config.open("rb") as file:
        named = tomllib.load(file)["device"].get("state_directory", "/var/lib/passerby")
    return config.parent / named


def environment(folder, more):
    """Return the program's environment: little of ours, and folders of its own.

    What says how libraries compute is ours: the shadow must make the same numbers to the last bit.
    """
    own = {name: folder / name for name in ("home", "tmp")}
    for path in own.values():
        path.mkdir(exist_ok=True)
    xdg = {f"XDG_{kind}_HOME": str(own["home"] / kind.lower()) for kind in ("CACHE", "CONFIG")}
    xdg |= {f"XDG_{kind}_HOME": str(own["home"] / kind.lower()) for kind in ("DATA", "STATE")}
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{AGENT}:{ROOT}",
        # Bytecode belongs to the installation, which a device mounts read-only.
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": str(own["home"]),
        "TMPDIR": str(own["tmp"]),
        "XDG_RUNTIME_DIR": str(own["tmp"]),
        "OMP_NUM_THREADS": "1",
        **{name: value for name, value in os.environ.items() if name.startswith(_ARITHMETIC)},
        **xdg,
        **more,
    }


def _toml(tables):
    lines = []
    for table, keys in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"

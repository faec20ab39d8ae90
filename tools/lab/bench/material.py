"""The benchmark's clips of people who do not exist: rendered once, kept by what they were made of.

`prepare` returns a folder per clip (`tools.lab.bench.clip`). All processors render; a stretch of
frames is one job. The folder's name holds a hash of the plan: another plan renders anew, and a run
that was stopped leaves nothing that looks finished.
"""

import hashlib
import multiprocessing
import multiprocessing.pool
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from rich.progress import Progress

from device.errors import ConfigurationError, StorageError
from tools.console import notes
from tools.lab.bench import stretch
from tools.lab.bench.choreography import (
    ENROLLED,
    LISTED,
    LORES,
    SIZE,
    Plan,
    plans,
    reference_id,
)
from tools.lab.bench.clip import (
    LORES as LORES_FILE,
)
from tools.lab.bench.clip import (
    MAIN as MAIN_FILE,
)
from tools.lab.bench.clip import (
    REFERENCES,
    SECONDS,
    TRUTH,
    Passage,
    Truth,
    write_truth,
)
from tools.lab.bench.packed import write_packed
from tools.lab.picture import write

_VERSION: Final = 1
"""Raise it when the same plan gives other pixels."""
_STRETCH: Final = 10
"""Frames of one job."""


def prepare(cache: Path, names: Iterable[str] | None = None) -> dict[str, Path]:
    """Return the folders of the clips, rendering what is not there yet; about five minutes once.

    cache: the folder where they are kept. names: only these of `plans()`. Raises
    ConfigurationError for an unknown name, StorageError when the disk refuses.
    """
    known = plans()
    wanted = list(known) if names is None else list(names)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigurationError(f'No clip is called "{unknown[0]}": {", ".join(known)}.')
    try:
        cache.mkdir(parents=True, exist_ok=True)
        folders = {name: cache / f"{name}-{_hash(known[name])}" for name in wanted}
        missing = [name for name in wanted if not (folders[name] / TRUTH).is_file()]
        if missing:
            _render({name: (known[name], folders[name]) for name in missing})
    except OSError as error:
        raise StorageError(f"The clips cannot be kept in {cache} ({error}).") from error
    return folders


def _hash(plan: Plan) -> str:
    what = repr((_VERSION, SIZE, LORES, ENROLLED, LISTED, plan))
    return hashlib.sha256(what.encode()).hexdigest()[:12]


def _render(missing: dict[str, tuple[Plan, Path]]) -> None:
    listed = [*ENROLLED, *LISTED]
    total = len(listed) + sum(len(plan.seconds) for plan, _ in missing.values())
    # Not forked: OpenCV and NumPy have state that a fork does not survive everywhere.
    context = multiprocessing.get_context("spawn")
    hidden = not notes.is_terminal
    with (
        context.Pool(os.cpu_count() or 1) as pool,
        Progress(console=notes, transient=True, disable=hidden) as progress,
        tempfile.TemporaryDirectory() as photographs,
    ):
        task = progress.add_task("rendering people", total=total)
        for seed, pixels in zip(listed, pool.imap(stretch.photograph, listed), strict=True):
            write(Path(photographs) / f"{reference_id(seed)}.png", pixels)
            progress.advance(task)
        for name, (plan, folder) in missing.items():
            progress.update(task, description=f"rendering: {name}")
            for frames in _clip(name, plan, folder, Path(photographs), pool):
                progress.advance(task, frames)


def _clip(
    name: str, plan: Plan, folder: Path, photographs: Path, pool: multiprocessing.pool.Pool
) -> Iterator[int]:
    """Render a clip into its folder; yield how many frames are done each time some are."""
    number = len(plan.seconds)
    jobs = [(name, first, min(first + _STRETCH, number)) for first in range(0, number, _STRETCH)]
    # Beside it, and renamed when it is whole: two runs may share a cache.
    work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        if plan.packed:
            yield from _packed(work, jobs, pool)
        else:
            yield from _planes(work, jobs, number, pool)
        np.save(work / SECONDS, np.array(plan.seconds, np.float64))
        shutil.copytree(photographs, work / REFERENCES)
        write_truth(work, Truth(name, SIZE, LORES, passages_of(plan), plan.laps))
        work.chmod(0o755)
        if not (folder / TRUTH).is_file():
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _planes(
    work: Path, jobs: list[stretch.Job], number: int, pool: multiprocessing.pool.Pool
) -> Iterator[int]:
    main, lores = (
        np.lib.format.open_memmap(
            work / file, mode="w+", dtype=np.uint8, shape=(number, high * 3 // 2, wide)
        )
        for file, (wide, high) in ((MAIN_FILE, SIZE), (LORES_FILE, LORES))
    )
    for (_, first, beyond), (both, small) in zip(
        jobs, pool.imap(stretch.planes, jobs), strict=True
    ):
        main[first:beyond], lores[first:beyond] = both, small
        yield beyond - first


def _packed(work: Path, jobs: list[stretch.Job], pool: multiprocessing.pool.Pool) -> Iterator[int]:
    frames: list[bytes] = []
    for found in pool.imap(stretch.pictures, jobs):
        frames += found
        yield len(found)
    write_packed(work, frames)


def passages_of(plan: Plan) -> list[Passage]:
    """Return who is to be seen from which frame to which."""
    passages = []
    for actor in plan.actors:
        seen = [n for n, seconds in enumerate(plan.seconds) if actor.present(seconds)]
        enrolled = actor.person.seed in ENROLLED
        seed = actor.person.seed
        identity = reference_id(seed) if enrolled else f"stranger-{seed}"
        passages.append(Passage(identity, enrolled, seen[0], seen[-1]))
    return passages

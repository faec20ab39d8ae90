"""What takes part in the contest: one pipeline that gets frames and says whom it saw.

A contestant is made by a call of what `CONTESTANTS` names, with a `Setup`; it is loaded late, so
that a library that is missing leaves out one contestant and not the benchmark. Only `frame` is on
the clock.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast, runtime_checkable

from device.capture.frame import Pixels
from device.errors import ConfigurationError, PasserbyError

PEER_MODELS: Final = Path("../shared/models/upstream")
"""Where published models that Passerby does not use lie, if `--peer-models` names nothing else."""

CONTESTANTS: Final[dict[str, str]] = {
    "ours": "tools.lab.bench.ours:operational",
    "ours-built-in": "tools.lab.bench.ours:built_in",
    "loop-small": "tools.lab.bench.loop:on_the_small_stream",
    "loop-main": "tools.lab.bench.loop:on_the_main_stream",
    "loop-small-built-in": "tools.lab.bench.loop:built_in_on_the_small_stream",
    "frigate-like": "tools.lab.bench.frigate:operational",
    "frigate-like-built-in": "tools.lab.bench.frigate:built_in",
    "dlib": "tools.lab.bench.peers.dlib_peer:upsampled_once",
    "dlib-small": "tools.lab.bench.peers.dlib_peer:not_upsampled",
    "ncnn": "tools.lab.bench.peers.ncnn_peer:same_networks",
    "ncnn-mobilefacenet": "tools.lab.bench.peers.ncnn_peer:mobilefacenet",
    "openvino": "tools.lab.bench.peers.openvino_peer:every_frame",
    "openvino-float32": "tools.lab.bench.peers.openvino_peer:in_float32",
    "ours-no-gate": "tools.lab.bench.ablation:no_gate",
    "ours-every-frame": "tools.lab.bench.ablation:every_frame",
    "ours-no-budget": "tools.lab.bench.ablation:no_budget",
    "ours-no-second-look": "tools.lab.bench.ablation:no_second_look",
    "ours-whole-frame": "tools.lab.bench.ablation:whole_frame",
    "ours-no-cuts": "tools.lab.bench.ablation:everything",
    "ours-stages": "tools.lab.bench.stages:staged",
}
"""Short name to "module:what makes it"."""


@dataclass(frozen=True, slots=True)
class View:
    """One moment as the camera gives it; buffers of the worker, which a contestant may overwrite.

    main_i420, lores_i420: (h * 3 / 2, w) uint8. main_bgr, lores_bgr: (h, w, 3) uint8 of the same
    moment, converted before the clock starts, in the favour of whoever wants them; None for whoever
    does not (`Contestant.wants`).
    """

    main_i420: Pixels
    lores_i420: Pixels
    main_bgr: Pixels | None = None
    lores_bgr: Pixels | None = None


Score = tuple[str, float]
"""A reference id and the score of one comparison with it; higher is more alike."""


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What a contestant did with a frame.

    faces: that it found. embedded: that it made a template of. best: of each face that it compared
    the reference that came nearest. alert: references that a rule of its own names now, with the
    score it gives; empty for contestants that have none but a threshold. tracks: how many began in
    this frame, by contestants that follow faces.
    """

    faces: int
    embedded: int
    best: list[Score] = field(default_factory=list)
    alert: list[Score] = field(default_factory=list)
    tracks: int = 0


class Contestant(Protocol):
    """A pipeline from frames to scores. One process and one thread own it.

    name: as tables print it. wants: which of `View.main_bgr` and `View.lores_bgr` it is given.
    """

    name: str
    wants: frozenset[str]

    def versions(self) -> dict[str, str]:
        """Return libraries with versions, and models with the start of their SHA-256."""

    def enrol(self, stills: list[Path]) -> list[str]:
        """Make templates of photographs `ID.png`; return the ids that got one."""

    def begin(self) -> None:
        """Forget the tracks of the clip before."""

    def frame(self, view: View, seconds: float) -> FrameResult:
        """Work on one frame. seconds: into the clip."""


@runtime_checkable
class WithFigures(Protocol):
    """A contestant that counts more than the protocol asks."""

    def figures(self) -> dict[str, float]:
        """Return figures of the clip since `begin`, by name; read after its last frame."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What every contestant is made with. peer_models: folder of published models."""

    peer_models: Path = PEER_MODELS


class AbsentError(PasserbyError):
    """A contestant cannot take part here; the message says why."""


def load(name: str, setup: Setup) -> Contestant:
    """Make a contestant. Raises ConfigurationError for an unknown name, AbsentError."""
    if name not in CONTESTANTS:
        known = ", ".join(CONTESTANTS)
        raise ConfigurationError(f'No contestant is called "{name}": {known}.')
    module, _, what = CONTESTANTS[name].partition(":")
    try:
        make = cast("Callable[[Setup], Contestant]", getattr(import_module(module), what))
        return make(setup)
    except AbsentError:
        raise
    except ImportError as error:
        missing = error.name or str(error)
        raise AbsentError(f"{missing} is not installed (`make venv-peers`).") from error
    except PasserbyError as error:
        raise AbsentError(str(error)) from error


def needed(path: Path) -> Path:
    """Return the path of a published model. Raises AbsentError when it is not there."""
    if not path.is_file():
        raise AbsentError(f"{path} is not here (--peer-models names the folder).")
    return path

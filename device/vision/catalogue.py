"""`models.toml`: which models there are, what they must be, and the refusal of anything else (R34).

A model is opened only when its file has the SHA-256 that the catalogue names and its tensors have
the shapes of its contract. The catalogue is read here by the appliance, `tools` and tests alike.
"""

import re
import sys
import tomllib
from math import inf
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import ModelError, StorageError
from device.files import sha256_of
from device.vision.geometry import Alignment
from device.vision.inference import Network, open_bare, open_network

CATALOGUE = "models.toml"
_INPUT_IN_NAME = re.compile(r"-\d+x\d+\Z")
Role = Literal["detector", "embedder", "quality", "attack-detection"]


class Upstream(Struct, frozen=True, forbid_unknown_fields=True):
    """The published file that a model was converted from."""

    url: str
    sha256: str


class Contract(Struct, frozen=True, forbid_unknown_fields=True):
    """What goes in and what comes out.

    input_shape: (1, height, width, 3). colour: order of the channels, 0-255.
    output_shapes: sorted; runtimes do not promise an order. alignment: of an embedder's samples.
    """

    input_shape: tuple[int, int, int, int]
    input_dtype: str
    colour: Literal["BGR", "RGB"]
    output_shapes: list[list[int]]
    alignment: Alignment = "arcface"


class ScoreScale(Struct, frozen=True, forbid_unknown_fields=True):
    """An embedder's own score scale; never valid for another model.

    threshold: default, for demonstrations; an operational one comes signed (R31).
    bands: lower edges of the bands "strong" and "very strong" (R47).
    same, twin: for enrolment, plain cosines: below `same` two photographs are not taken for one
    person's, from `twin` on two references are.
    second_crop_from: from this score on a probe gets a second crop; part of the scale, since the
    scores above it are those of the mean.
    second_look_from: from this score on a face's landmarks are looked for again; None: always,
    before anything is compared.
    """

    threshold: float
    bands: tuple[float, float]
    same: float
    twin: float
    second_crop_from: float
    second_look_from: float | None = None

    @property
    def look_from(self) -> float:
        """From which score on: never above the second crop, which is cut out at exact landmarks."""
        if self.second_look_from is None:
            return -inf
        return min(self.second_look_from, self.second_crop_from)


class LiveScale(Struct, frozen=True, forbid_unknown_fields=True):
    """How an attack detector looks and judges; never valid for another model.

    surroundings: side of its crop over that of the face's box. live_class: which of its outputs,
    from 0, stands for a person before the camera. threshold: lowest live score (softmax, 0 to 1)
    that passes for one.
    """

    surroundings: Annotated[float, Meta(ge=1, le=8)]
    live_class: Annotated[int, Meta(ge=0, le=999)]
    threshold: Annotated[float, Meta(gt=0, lt=1)]


class ModelEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One model of the catalogue.

    url: where the file itself is published. recipe: the file, in the same folder, by which
    `passerby-field models fetch` makes it from the published one.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    role: Role
    file: str
    sha256: str
    collection: Literal["built-in", "operational"]
    licence: str
    training_data: str
    card: str
    contract: Contract
    upstream: Upstream | None = None
    url: str | None = None
    recipe: str | None = None
    edge_tpu_file: str | None = None
    edge_tpu_sha256: str | None = None
    scores: ScoreScale | None = None
    live: LiveScale | None = None


class _CatalogueFile(Struct, frozen=True, forbid_unknown_fields=True):
    model: list[ModelEntry]


class Catalogue:
    """The models of one folder."""

    def __init__(self, directory: Path, entries: list[ModelEntry]) -> None:
        self.directory = directory
        self.entries = entries

    @classmethod
    def read(cls, directory: Path) -> "Catalogue":
        """Read `models.toml` in a folder. Raises ModelError."""
        path = directory / CATALOGUE
        try:
            parsed = tomllib.loads(path.read_text("utf-8"))
            entries = msgspec.convert(parsed, _CatalogueFile).model
        except FileNotFoundError as error:
            msg = f"{path} does not exist: models.directory must name the folder that holds it."
            raise ModelError(msg) from error
        except (OSError, tomllib.TOMLDecodeError, UnicodeError) as error:
            msg = f"{path} cannot be read ({error})."
            raise ModelError(msg) from error
        except msgspec.ValidationError as error:
            msg = f"{path} is no catalogue of models: {error}."
            raise ModelError(msg) from error
        return cls(directory, entries)

    @classmethod
    def configured(cls, directory: str) -> "Catalogue":
        """Read the catalogue of a configured folder; empty: the one that came with Passerby."""
        return cls.read(Path(directory) if directory else default_directory())

    def entry(self, name: str, role: Role) -> ModelEntry:
        """Return the entry of that name. Raises ModelError, naming those of the role."""
        names = [entry.name for entry in self.entries if entry.role == role]
        for entry in self.entries:
            if entry.name == name and entry.role == role:
                return entry
        msg = f'No {role} is called "{name}" in {self.directory / CATALOGUE}: {", ".join(names)}.'
        raise ModelError(msg)

    def family(self, entry: ModelEntry) -> list[ModelEntry]:
        """Return the entries of the same network that differ in their input only, smallest first.

        The same published file of one role, or, where none is named, the same name up to the input.
        """
        same = (one for one in self.entries if _of_one_network(one, entry))
        return sorted(same, key=_input_pixels)

    def path(self, entry: ModelEntry) -> Path:
        """Return where the model's file is, or belongs."""
        return self.directory / entry.file

    def verified_path(self, entry: ModelEntry) -> Path:
        """Return the model's file after its hash was checked. Raises ModelError."""
        return self._verified(self.path(entry), entry.sha256, entry.name)

    def open(self, entry: ModelEntry, threads: int, *, edge_tpu: bool) -> Network:
        """Open a model: hash first, then the runtime, then its contract. Raises ModelError."""
        file = self.verified_path(entry)
        compiled = self.compiled(entry) if edge_tpu else None
        network = open_network(file, threads, compiled)
        _check_contract(entry, network)
        return network

    def compiled(self, entry: ModelEntry) -> Path | None:
        """Return its verified file for an Edge TPU; None: there is none. Raises ModelError."""
        if not (entry.edge_tpu_file and entry.edge_tpu_sha256):
            return None
        candidate = self.directory / entry.edge_tpu_file
        if not candidate.is_file():
            return None
        return self._verified(candidate, entry.edge_tpu_sha256, entry.name)

    def open_bare(self, entry: ModelEntry, threads: int) -> Network:
        """Open a verified model for a measurement. See `inference.open_bare`. Raises ModelError."""
        return open_bare(self.verified_path(entry), threads)

    def _verified(self, path: Path, sha256: str, name: str) -> Path:
        if not path.is_file():
            msg = (
                f"Model {name} is not here ({path}): fetch it with `passerby-field models fetch "
                "--from FOLDER`."
            )
            raise ModelError(msg)
        try:
            actual = sha256_of(path)
        except StorageError as error:
            raise ModelError(str(error)) from error
        if actual != sha256:
            msg = (
                f"Model {name} is not the file that models.toml names: {path} has SHA-256 "
                f"{actual[:16]}…, expected {sha256[:16]}…. Delete it and fetch it again."
            )
            raise ModelError(msg)
        return path


def _input_pixels(entry: ModelEntry) -> int:
    _, height, width, _ = entry.contract.input_shape
    return width * height


def _of_one_network(one: ModelEntry, other: ModelEntry) -> bool:
    if (one.role, one.collection) != (other.role, other.collection):
        return False
    if one.upstream is None or other.upstream is None:
        return _INPUT_IN_NAME.sub("", one.name) == _INPUT_IN_NAME.sub("", other.name)
    return one.upstream.sha256 == other.upstream.sha256


def _check_contract(entry: ModelEntry, network: Network) -> None:
    contract = entry.contract
    if network.input_shape != contract.input_shape or network.input_dtype != contract.input_dtype:
        msg = (
            f"Model {entry.name} takes {network.input_dtype} {network.input_shape}, its contract "
            f"says {contract.input_dtype} {contract.input_shape}."
        )
        raise ModelError(msg)
    actual = sorted(list(shape) for shape in network.output_shapes)
    if actual != sorted(contract.output_shapes):
        msg = f"Model {entry.name} returns shapes {actual}, its contract says otherwise."
        raise ModelError(msg)


def default_directory() -> Path:
    """Return the folder of models that came with Passerby: beside the code, or installed."""
    places = (
        Path(__file__).resolve().parents[2] / "models",
        Path(sys.prefix) / "share/passerby/models",
        Path("/usr/share/passerby/models"),
    )
    return next((place for place in places if (place / CATALOGUE).is_file()), places[-1])

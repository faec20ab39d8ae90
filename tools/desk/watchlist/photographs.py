"""Photographs become templates here, by the code that sees faces on the device.

Kept are a template and the digest of the file; never the photograph, nor a copy of it.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from device.errors import PasserbyError, WatchlistError
from device.files import sha256_of
from device.protocol.alert import ModelHash
from device.protocol.watchlist import Reference
from device.recognition import scale_of
from device.settings import ModelSettings, VisionSettings
from device.vision import Catalogue, Eye
from tools.desk.conflicts import conflicts
from tools.desk.enrolment import Report, template_of
from tools.desk.gate import LIMITS
from tools.desk.watchlist.entry import Photograph
from tools.desk.watchlist.register import Register

MOST_PHOTOGRAPHS = 32
"""Of one person."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What became of one person's photographs. faults: of those that were left out, by number."""

    templates: list[bytes]
    photographs: list[Photograph]
    faults: list[str]

    def refusal(self) -> list[str]:
        """Return why the person cannot be listed: no photograph passed the gate (R12)."""
        if self.templates:
            return []
        return self.faults or ["photographs are missing: one at least must be enrolled (R12)"]

    def __repr__(self) -> str:
        return f"<Enrolled {len(self.templates)}>"


class Enroller:
    """The models with which one list is made."""

    def __init__(self, catalogue: Catalogue, models: ModelSettings) -> None:
        """Raises ModelError."""
        eye = Eye.open(catalogue, models, VisionSettings())
        self._eye = replace(eye, limits=LIMITS)
        scale = scale_of(eye.embedder_entry)
        self._same, self._twin = scale.same, scale.twin
        entry = eye.embedder_entry
        self.embedder = ModelHash("embedder", entry.name, entry.sha256)
        self.dimension = eye.embedder.dimension

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Enroller":
        """Open the models of --models, --detector and --embedder. Raises ModelError."""
        return cls(catalogue_of(options), models_of(options))

    def check(self, register: Register) -> None:
        """Raise WatchlistError when a register's templates came from another embedder."""
        if register.embedder is not None and register.embedder != self.embedder:
            raise WatchlistError(
                f"This list was begun with the embedder {register.embedder.name}: its templates "
                f"cannot be compared with those of {self.embedder.name}. Name it with --embedder."
            )

    def enrol(self, files: list[Path], folder: Path, at: str) -> Enrolled:
        """Return templates of the photographs that pass the gate, and what failed of the others.

        files: in `folder`. at: the time now.
        """
        templates, photographs, faults = [], [], []
        if len(files) > MOST_PHOTOGRAPHS:
            return Enrolled([], [], [f"{len(files)} photographs; {MOST_PHOTOGRAPHS} at most (R12)"])
        for number, file in enumerate(files, 1):
            report = Report()
            template = template_of(self._eye, file, folder, report)
            if template is None:
                # Not by its file's name, in which the person's often is.
                reasons = "; ".join(reason for _, reason in report.rejected)
                faults.append(f"photograph {number}: {reasons} (R12)")
                continue
            try:
                digest = sha256_of(file)
            except PasserbyError:
                faults.append(f"photograph {number}: it went away while it was read")
                continue
            templates.append(template)
            remarks = [remark for _, remark in report.remarks]
            photographs.append(Photograph(sha256=digest, enrolled_at=at, remarks=remarks))
        return Enrolled(templates, photographs, faults)

    def conflicts(self, references: list[Reference]) -> dict[str, str]:
        """Return why references may not stand on one list: one person twice, or two in one."""
        return conflicts(references, self._same, self._twin)


def catalogue_of(options: argparse.Namespace) -> Catalogue:
    """Return the catalogue of --models. Raises ModelError."""
    return Catalogue.configured(str(options.models) if options.models else "")


def models_of(options: argparse.Namespace) -> ModelSettings:
    """Return the models that the command names."""
    return ModelSettings(detector=options.detector, embedder=options.embedder)

"""`passerby-desk enrol`: photographs become references of an unsigned demonstration list."""

import argparse
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from rich.progress import track

from device.capture.frame import Picture
from device.capture.stills import SUFFIXES, pictures_in, read_still
from device.errors import PictureError, StorageError, WatchlistError
from device.files import shown, write_atomically
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.watchlist import (
    MOST_REFERENCES,
    DemonstrationList,
    Reference,
    encode_list,
)
from device.recognition import scale_of
from device.settings import ModelSettings, VisionSettings
from device.vision import Catalogue, Eye, find_faces
from device.vision.quality import faults_of_pose
from tools.console import console, notes
from tools.desk.conflicts import conflicts
from tools.desk.gate import LIMITS, choose_subject, remarks_on

_MOST_IMAGES = 32
_LONGEST_ID = 128
_NO_PHOTOGRAPH = f"it is no photograph that can be read ({' '.join(sorted(SUFFIXES))})"


@dataclass(slots=True)
class Report:
    """What happened to every image: (file, sentence) pairs."""

    enrolled: list[str] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)


def enrol(options: argparse.Namespace) -> int:
    """Make a list and report; 0 when a list was written, and with --strict nothing was rejected."""
    photos: Path = options.photos
    if not options.out.absolute().parent.is_dir():
        raise StorageError(f"The folder of {options.out} does not exist; make it first.")
    work = photographs_in(photos)
    models = ModelSettings(detector=options.detector, embedder=options.embedder)
    eye = replace(Eye.open(Catalogue.read(options.models), models, VisionSettings()), limits=LIMITS)
    report = Report(rejected=[(name, _NO_PHOTOGRAPH) for name in left_out(photos)])
    references = []
    items = sorted(work.items())
    for reference_id, files in track(items, "enrolling", console=notes, transient=True):
        templates = [t for file in files if (t := template_of(eye, file, photos, report))]
        if templates:
            references.append(Reference(reference_id, templates))
    edges = scale_of(eye.embedder_entry)
    for reference_id, reason in conflicts(references, edges.same, edges.twin).items():
        report.rejected.append((reference_id, reason))
        references = [r for r in references if r.reference_id != reference_id]
    report.enrolled = [reference.reference_id for reference in references]
    _say(report, options.report)
    if not references:
        raise WatchlistError(f"No photograph in {photos} could be enrolled; no list was written.")
    if options.strict and report.rejected:
        raise WatchlistError(
            f"{len(report.rejected)} photographs were rejected; with --strict no list was written."
        )
    now_ns = time.time_ns()
    watchlist = DemonstrationList(
        list_id=uuid7(now_ns),
        version=1,
        created_at=utc_text(now_ns),
        embedder=eye.embedder_entry.name,
        embedder_sha256=eye.embedder_entry.sha256,
        dimension=eye.embedder.dimension,
        references=references,
    )
    write_atomically(options.out, encode_list(watchlist))
    console.print(
        f"{options.out}: {len(references)} references, UNSIGNED, for demonstrations only."
    )
    return 0


def left_out(folder: Path) -> list[str]:
    """Return what lies in the folder and is no photograph, so that nobody is missed in silence."""
    names = []
    for path in sorted(folder.iterdir()):
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        names += [
            shown(str(p.relative_to(folder)))
            for p in inside or [path]
            if p.name[0] != "." and (p.is_dir() or p.suffix.lower() not in SUFFIXES)
        ]
    return names


def photographs_in(folder: Path) -> dict[str, list[Path]]:
    """Return the images of each reference id. Raises WatchlistError for a folder without any."""
    if not folder.is_dir():
        raise WatchlistError(f"{folder} is no folder; --photos must name one.")
    work: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        reference_id, images = _images_of(path)
        if not images:
            continue
        if reference_id in work:
            raise WatchlistError(
                f'Two photographs claim the reference id "{reference_id}": put them into one '
                "sub-folder of that name, or rename one."
            )
        work[reference_id] = images
    if not work:
        raise WatchlistError(f"{folder} holds no photographs ({' '.join(sorted(SUFFIXES))}).")
    if len(work) > MOST_REFERENCES:
        raise WatchlistError(
            f"{folder} holds {len(work)} references; a list has {MOST_REFERENCES} at most (R12)."
        )
    return work


def _images_of(path: Path) -> tuple[str, list[Path]]:
    """Return the reference id and the images of one entry of the folder; none for other files."""
    if path.name.startswith("."):
        return "", []
    if path.is_dir():
        reference_id, images = path.name, [p for p in pictures_in(path) if p.name[0] != "."]
    else:
        reference_id, images = path.stem, [path] if path.suffix.lower() in SUFFIXES else []
    if images and not reference_id.isprintable():
        raise WatchlistError(f"The name {shown(str(path))} cannot be a reference id: rename it.")
    if len(reference_id) > _LONGEST_ID:
        raise WatchlistError(f"The reference id {reference_id[:40]}… is too long.")
    if len(images) > _MOST_IMAGES:
        raise WatchlistError(f"{path} holds {len(images)} images; {_MOST_IMAGES} at most.")
    return reference_id, images


def template_of(eye: Eye, file: Path, folder: Path, report: Report) -> bytes | None:
    """Return the template of a photograph, or None after reporting why it was rejected."""
    name = shown(str(file.relative_to(folder)))
    try:
        pixels = read_still(file)
    except PictureError as error:
        report.rejected.append((name, str(error).replace(str(file), "it")))
        return None
    picture = Picture.of_bgr(pixels)
    choice = choose_subject(find_faces(eye, pixels), picture.width, picture.height)
    faults = list(choice.faults)
    template: bytes | None = None
    if choice.face is not None:
        faults += faults_of_pose(choice.face.pose, eye.limits)
        probe, more = eye.reference(picture, choice.face.landmarks)
        faults += more
        if not faults and probe is not None:
            template = probe.template.astype("<f4").tobytes()
            remarks = [*choice.remarks, *remarks_on(choice.face)]
            report.remarks += [(name, remark) for remark in remarks]
    pixels.fill(0)
    if template is None:
        report.rejected.append((name, "; ".join(faults)))
    return template


def _say(report: Report, file: Path | None) -> None:
    for name, reason in report.rejected:
        console.print(f"rejected  {name}: {reason}", markup=False)
    if report.remarks:
        counted: dict[str, int] = {}
        for _, remark in report.remarks:
            kind = remark.partition(":")[0] if ":" in remark else remark.lstrip("0123456789 ")
            counted[kind] = counted.get(kind, 0) + 1
        for kind, count in sorted(counted.items()):
            console.print(f"remark    {count} enrolled photographs: {kind}", markup=False)
    console.print(f"{len(report.enrolled)} references enrolled, {len(report.rejected)} rejected.")
    if file is not None:
        write_atomically(file, msgspec.json.format(msgspec.json.encode(report)), mode=0o644)

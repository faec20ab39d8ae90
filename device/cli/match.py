"""`passerby match`: stills and clips against the watchlist, each search logged with its purpose."""

import argparse
import os
import sys
import time
from pathlib import Path

import msgspec

from device.audit import AuditLog
from device.bundles import load_list
from device.configuration import DEFAULT_PATH, read_configuration
from device.errors import ConfigurationError, NotArmedError, PictureError
from device.files import shown
from device.matching import Gallery
from device.policy.arming import unsigned_refusal
from device.protocol.wording import ATTACK_JUDGED, DEMONSTRATION, NOTICE
from device.search import Result, Searcher, inputs_of
from device.settings import CameraSettings, DeviceSettings, Settings, WatchlistSettings
from device.vision import Catalogue, Eye


def run(options: argparse.Namespace) -> int:
    """Compare every input; 0 when all could be read, 4 when one could not."""
    purpose, case = shown(options.purpose.strip()), shown(options.case.strip())
    if not purpose or not case:
        msg = "--purpose and --case must say why you search, and for which case; they are logged."
        raise ConfigurationError(msg)
    settings = _settings(options.config)
    refusal = unsigned_refusal(signed=False, demonstration=settings.device.demonstration)
    if refusal is not None:
        raise NotArmedError(refusal)
    inputs = inputs_of(options.paths)
    watchlist = load_list(options.watchlist)
    catalogue = Catalogue.configured(settings.models.directory)
    eye = Eye.open(catalogue, settings.models, settings.vision)
    gallery = Gallery(watchlist, eye.embedder_entry.sha256, eye.embedder.dimension)
    del watchlist  # the gallery wipes its own copy of the templates; this one must not stay
    searcher = Searcher(eye, gallery, settings)
    log = AuditLog(Path(settings.device.state_directory) / "audit.jsonl")
    _announce(len(gallery), eye.attack_detection)
    unreadable = 0
    try:
        for path in inputs:
            # Logged before it happens: a search that cannot be logged is not made (R42).
            log.write(
                time.time_ns(),
                "search",
                {
                    "purpose": purpose,
                    "case": case,
                    "watchlist": gallery.list_id,
                    "file": shown(path.name),
                },
            )
            result = searcher.search(path)
            unreadable += result.error is not None
            text = _as_json(result, purpose, case, eye) if options.json else _as_text(result)
            print(text, flush=True)
    finally:
        gallery.wipe()
    return PictureError.exit_code if unreadable else 0


def _settings(path: Path | None) -> Settings:
    """Return the configuration; without one on this machine, that of a demonstration.

    A provisioned device has /etc/passerby/device.toml, and there an unsigned list is refused; a
    bench without any configuration can only ever be a demonstration (docs/decisions/0004).
    """
    if path is None and DEFAULT_PATH.is_file():
        path = DEFAULT_PATH
    if path is not None:
        return read_configuration(path)
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "passerby"
    return Settings(
        device=DeviceSettings("bench", "bench", state_directory=str(state), demonstration=True),
        camera=CameraSettings("stills"),
        watchlist=WatchlistSettings(""),
    )


def _announce(references: int, attack_detection: str) -> None:
    text = f"{DEMONSTRATION} {references} references. Attack detection: {attack_detection}."
    print(text, file=sys.stderr, flush=True)


def _as_json(result: Result, purpose: str, case: str, eye: Eye) -> str:
    record = msgspec.to_builtins(result) | {
        "presentation_attack_detection": eye.attack_detection,
        "purpose": purpose,
        "case": case,
        "demonstration": True,
        "notice": NOTICE,
    }
    return msgspec.json.encode(record).decode()


def _as_text(result: Result) -> str:
    faces = f"{result.faces} face{'' if result.faces == 1 else 's'}"
    lines = [f"{result.file}: {faces}"]
    for found in result.candidates:
        place = f" at {found.at_s:.1f} s" if found.at_s is not None else ""
        look_alike = "; thin margin: check for a look-alike" if found.margin_band == "thin" else ""
        lines.append(
            f"  possible match: {found.reference_id} ({found.band}{look_alike}){place}, "
            f"face at x {found.box[0]}, y {found.box[1]}"
        )
    if result.candidates:
        lines.append(f"  {NOTICE}")
    if not result.candidates and result.error is None:
        lines.append("  no candidate")
    if result.judged_attacks:
        faces = "a face" if result.judged_attacks == 1 else f"{result.judged_attacks} faces"
        lines.append(f"  {faces} near a reference: {ATTACK_JUDGED}, which gives no candidate")
    lines += [f"  a face was not compared: {reason}" for reason in result.not_compared]
    if result.error is not None:
        lines.append(f"  error: {result.error}")
    return "\n".join(lines)

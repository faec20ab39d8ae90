"""`passerby match`: stills and clips against the watchlist, each search logged with its purpose."""

import argparse
import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from device.audit import AuditLog
from device.bundles import load_list
from device.charge import Charge
from device.cli.ownership import refuse_another_user
from device.cli.printing import printable
from device.configuration import DEFAULT_PATH, read_configuration
from device.errors import ConfigurationError, NotArmedError, PictureError
from device.files import hold_alone, shown
from device.identity import own_keys
from device.matching import Gallery
from device.opened import opened_list, refuse_unless_armed
from device.protocol.wording import ATTACK_JUDGED, DEMONSTRATION, NOTICE
from device.search import Result, Searcher, StillAllowed, inputs_of
from device.settings import CameraSettings, DeviceSettings, Settings, WatchlistSettings
from device.vision import Catalogue, Eye


def run(options: argparse.Namespace) -> int:
    """Compare every input; 0 when all could be read, 4 when one could not."""
    purpose, case = shown(options.purpose.strip()), shown(options.case.strip())
    if not purpose or not case:
        msg = "--purpose and --case must say why you search, and for which case; they are logged."
        raise ConfigurationError(msg)
    settings = _settings(options.config)
    refuse_another_user(Path(settings.device.state_directory), "match")
    inputs = inputs_of(options.paths)
    ask = _Asked(purpose, case, as_json=options.json)
    if settings.device.demonstration:
        return _demonstrate(settings, options.watchlist, inputs, ask)
    if options.watchlist is not None:
        raise NotArmedError(
            "This device compares with its signed watchlist only: leave --watchlist out. An "
            "unsigned list needs demonstration = true in [device]."
        )
    return _search_signed(settings, inputs, ask, options.unlocked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Why is searched, and how the results are printed."""

    purpose: str
    case: str
    as_json: bool


def _demonstrate(settings: Settings, path: Path | None, inputs: list[Path], ask: _Asked) -> int:
    if path is None:
        raise ConfigurationError("--watchlist is missing: a demonstration compares with a file.")
    watchlist = load_list(path)
    catalogue = Catalogue.configured(settings.models.directory)
    eye = Eye.open(catalogue, settings.models, settings.vision)
    gallery = Gallery(watchlist, eye.embedder_entry.sha256, eye.embedder.dimension)
    del watchlist  # the gallery wipes its own copy of the templates; this one must not stay
    announce = f"{DEMONSTRATION} {len(gallery)} references."
    try:
        return _search(settings, (eye, gallery), inputs, ask, announce, lambda: None)
    finally:
        gallery.wipe()


def _search_signed(
    settings: Settings, inputs: list[Path], ask: _Asked, unlocked: str | None
) -> int:
    if not settings.watchlist.root:
        raise NotArmedError(
            "watchlist.root is missing: without the desk's root of trust no watchlist can be "
            "checked, and nothing is compared."
        )
    alone = hold_alone(Path(settings.device.state_directory) / "lock")
    with alone, opened_list(settings, unlocked) as charge:
        refuse_unless_armed(charge)
        settings, eye, gallery = charge.custody.settings, charge.custody.eye, charge.custody.gallery
        if eye is None or gallery is None:
            raise NotArmedError("The list is not open.")
        announce = f"Authorised: {charge.authorisation.objective} {len(gallery)} references."
        still_allowed = partial(_refuse_unless_open, charge, gallery)
        return _search(settings, (eye, gallery), inputs, ask, announce, still_allowed)


def _refuse_unless_open(charge: Charge, gallery: Gallery) -> None:
    """Raise NotArmedError unless everything holds, and this list is the one that is open."""
    refuse_unless_armed(charge)
    if charge.custody.gallery is not gallery:
        # Its references are overwritten: comparing with it would find nobody.
        raise NotArmedError("Another watchlist was installed meanwhile: search again with that.")


def _search(  # noqa: PLR0913, PLR0917 - the parts of one search
    settings: Settings,
    opened: tuple[Eye, Gallery],
    inputs: list[Path],
    ask: _Asked,
    announce: str,
    still_allowed: StillAllowed,
) -> int:
    eye, gallery = opened
    searcher = Searcher(eye, gallery, settings)
    state = Path(settings.device.state_directory)
    path = state / "audit.jsonl"
    AuditLog(path).check()
    audit = AuditLog(path, own_keys(state).signer)
    text = f"{announce} Attack detection: {eye.attack_detection}."
    print(text, file=sys.stderr, flush=True)
    unreadable = 0
    for path in inputs:
        still_allowed()
        # Logged before it happens: a search that cannot be logged is not made (R42).
        audit.write(
            time.time_ns(),
            "search",
            {
                "purpose": ask.purpose,
                "case": ask.case,
                "watchlist": gallery.list_id,
                "file": shown(path.name),
            },
        )
        result = searcher.search(path, still_allowed)
        unreadable += result.error is not None
        demonstration = settings.device.demonstration
        shown_as = _as_json(result, ask, eye, demonstration=demonstration)
        print(shown_as if ask.as_json else _as_text(result), flush=True)
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


def _as_json(result: Result, ask: _Asked, eye: Eye, *, demonstration: bool) -> str:
    record = msgspec.to_builtins(result) | {
        "presentation_attack_detection": eye.attack_detection,
        "purpose": ask.purpose,
        "case": ask.case,
        "demonstration": demonstration,
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
    return "\n".join(map(printable, lines))

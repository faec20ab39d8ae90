"""`passerby audit`: verify, show and export this device's audit log, or a copy of one."""

import argparse
import sys
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from device.audit import AuditLog
from device.audit.export import Period, export
from device.audit.findings import Report
from device.audit.reading import Snapshot
from device.audit.totals import Totals
from device.audit.verify import verify
from device.cli.ownership import refuse_another_user
from device.cli.printing import printable
from device.configuration import DEFAULT_PATH, read_configuration
from device.errors import ConfigurationError, MessageError, StorageError
from device.identity import NAME, own_keys
from device.protocol.identifiers import utc_text
from device.protocol.keys import LARGEST_KEY_FILE_BYTES, decode_public_keys

_LOG = "audit.jsonl"
_SHA256_DIGITS = 64
_MOST_SHOWN = 1_000_000
"""Lines that are held in memory to be shown; who wants more exports the log."""


def run(options: argparse.Namespace) -> int:
    """Do what is asked; 1 when a verification finds something."""
    actions = {"verify": _verify, "show": _show, "export": _export, "checkpoint": _checkpoint}
    return actions[options.action](options)


def _verify(options: argparse.Namespace) -> int:
    log = _log(options)
    if options.log is not None and not log.exists():
        raise StorageError(f"{log} does not exist.")
    anchors = [_hash(anchor) for anchor in options.anchor]
    report = verify(
        Snapshot.of(log),
        _key(options),
        anchors,
        export=options.log is not None,
        progress=_progress,
    )
    if options.json:
        print(msgspec.json.encode(report).decode())
    else:
        print("\n".join(map(printable, _lines(log, report))))
    return 0 if report.ok else 1


def _show(options: argparse.Namespace) -> int:
    log = _log(options)
    if not 1 <= options.last <= _MOST_SHOWN:
        raise ConfigurationError(f"--last must be 1 to {_MOST_SHOWN:,}.")
    for _, line in deque(Snapshot.of(log).lines(), maxlen=options.last):
        details = ", ".join(f"{name}: {value}" for name, value in line.details.items())
        told = f"{line.number:>7,}  {line.at}  {line.event}{f'  ({details})' if details else ''}"
        print(printable(told))
    return 0


def _export(options: argparse.Namespace) -> int:
    log = _own_log(options)
    period = Period(_time(options.from_at, "--from"), _time(options.to_at, "--to"))
    end = export(log, options.out, _signer(log), time.time_ns(), period)
    print(f"lines   {end.first:,} to {end.last:,}, of {end.newest:,}")
    print(f"export  {options.out}: check it with `passerby audit verify --log … --key …`, where")
    print("        the key is the device's public file (`passerby identity --out`)")
    return 0


def _checkpoint(options: argparse.Namespace) -> int:
    log = _own_log(options)
    print(AuditLog(log, _signer(log)).checkpoint(time.time_ns()))
    return 0


def _log(options: argparse.Namespace) -> Path:
    """Return which log is meant. Raises ConfigurationError."""
    if getattr(options, "log", None) is not None:
        return Path(options.log)
    path: Path | None = options.config
    if path is None and DEFAULT_PATH.is_file():
        path = DEFAULT_PATH
    if path is None:
        raise ConfigurationError("Name the device's configuration (--config) or a log (--log).")
    return Path(read_configuration(path).device.state_directory) / _LOG


def _own_log(options: argparse.Namespace) -> Path:
    """Return this device's log, to be written to. Raises StorageError, ConfigurationError."""
    log = _log(options)
    refuse_another_user(log.parent, f"audit {options.action}")
    return log


def _signer(log: Path) -> Ed25519PrivateKey:
    """Return this device's key; a command that reads never makes a new identity."""
    if not (log.parent / NAME).exists():
        raise ConfigurationError(
            f"This device has no keys yet in {log.parent}: run `passerby identity --config …`."
        )
    return own_keys(log.parent).signer


def _key(options: argparse.Namespace) -> Ed25519PublicKey | None:
    """Return the key that signed the log; None where the chain alone shall be checked."""
    if options.unsigned:
        return None
    if options.key is None and options.log is None:
        return _signer(_log(options)).public_key()
    if options.key is None:
        raise ConfigurationError(
            "--log needs --key, the device's public keys: without them anybody could have made "
            "the whole log. --unsigned checks the chain alone."
        )
    try:
        with options.key.open("rb") as file:
            return decode_public_keys(file.read(LARGEST_KEY_FILE_BYTES + 1)).verifier
    except (OSError, MessageError) as error:
        raise ConfigurationError(f"--key, {options.key}: {error}") from error


def _hash(text: str) -> str:
    digits = text.strip().lower()
    if len(digits) != _SHA256_DIGITS or set(digits) - set("0123456789abcdef"):
        raise ConfigurationError("--anchor must be a SHA-256: 64 hexadecimal digits.")
    return digits


def _time(text: str | None, name: str) -> str | None:
    """Return a time as the log writes it; a day is its midnight, UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return utc_text(int(moment.timestamp() * 1000) * 1_000_000)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"{name} must be a day or a time, as 2026-01-31 or 2026-01-31T08:00:00Z."
        ) from error


def _progress(read: int, size: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{read / 1e6:,.0f} of {size / 1e6:,.0f} MB ", end="", file=sys.stderr, flush=True)


def _lines(log: Path, report: Report) -> list[str]:
    range_ = f"{report.lines:,} lines, {report.first:,} to {report.last:,}"
    lines = [f"{log}: {range_}"]
    lines += [f"FOUND  {finding}" for finding in report.findings]
    lines += _more(report.findings_in_all - len(report.findings), "findings")
    lines += [f"note   {note}" for note in report.notes]
    lines += _more(report.notes_in_all - len(report.notes), "notes")
    lines += _totals(report.totals)
    if report.checkpoint is not None:
        lines.append(f"newest checkpoint    {report.checkpoint}")
    if not report.ok:
        lines.append("This log was changed, or does not add up.")
    elif not report.signed:
        lines.append("The chain is whole. No key was given: anybody could have made all of it.")
    else:
        lines.append("Nothing is missing, added, changed or moved, and the counts add up.")
    return lines


def _more(number: int, what: str) -> list[str]:
    return [f"       and {number:,} more {what}"] if number else []


def _totals(totals: Totals) -> list[str]:
    rows = {
        "starts": totals.starts,
        "stops": totals.stops,
        "broken off": totals.broken_off,
        "bundles installed": totals.installs,
        "unlocks": totals.unlocks,
        "list loads": totals.loads,
        "alerts": totals.alerts,
        "alerts lost": totals.alerts_lost,
        "judged attacks": totals.attacks,
        "orders obeyed": totals.orders,
        "adjudications": totals.adjudications,
        "exports": totals.exports,
        "checkpoints": totals.checkpoints,
    }
    lines = [f"{name:<20} {number:,}" for name, number in rows.items()]
    for purpose, searches in totals.searches.items():
        counts = f"{searches.files:,} files; {searches.frames:,} frames, {searches.faces:,} faces, "
        counts += f"{searches.compared:,} compared, {searches.alerts:,} alerts"
        lines.append(f'searches for "{purpose}": {counts}')
    return lines + [f"unknown counts       {period}" for period in totals.unknown]

"""Reads and checks `device.toml`, and writes its documentation; the desk uses it for its own file.

Unknown keys are errors with a suggestion; relative paths count from the file's folder.
"""

import difflib
import errno
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, inspect

from device.errors import ConfigurationError
from device.settings import Settings

DEFAULT_PATH = Path("/etc/passerby/device.toml")
LARGEST_BYTES = 1_000_000
"""Of a configuration file: more than any person writes."""
_UNIVERSAL = re.compile("\r\n?")
_PATH_FIELDS = (
    ("device", "state_directory"),
    ("camera", "path"),
    ("models", "directory"),
    ("watchlist", "path"),
    ("watchlist", "root"),
    ("broker", "ca_file"),
    ("broker", "certificate_file"),
    ("broker", "key_file"),
    ("broker", "password_file"),
    ("desk", "public_keys"),
)


Kind = TypeVar("Kind", bound=Struct)


def read_configuration(path: Path) -> Settings:
    """Read a configuration file. Raises ConfigurationError naming the key and what is wrong."""
    return parse_configuration(read_text(path), path)


def parse_configuration(text: str, path: Path) -> Settings:
    """Check a configuration's text; `path` gives the folder of relative paths and the name."""
    return parse_as(Settings, text, path, _PATH_FIELDS)


def read_text(path: Path) -> str:
    """Return the text of a configuration file, without waiting for a pipe or reading a device.

    Raises ConfigurationError: also when it is no file, or larger than `LARGEST_BYTES`.
    """
    try:
        content = _read_regular(path)
        if len(content) > LARGEST_BYTES:
            raise ConfigurationError(f"The configuration {path} is too large to be one.")
        return _UNIVERSAL.sub("\n", content.decode("utf-8"))
    except FileNotFoundError as error:
        msg = f"The configuration {path} does not exist: give its path with --config."
        raise ConfigurationError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"The configuration {path} cannot be read ({error})."
        raise ConfigurationError(msg) from error


def _read_regular(path: Path) -> bytes:
    """Return what a file holds, cut a byte after the limit. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        with open(handle, "rb", closefd=False) as file:
            return file.read(LARGEST_BYTES + 1)
    finally:
        os.close(handle)


def parse_as(
    kind: type[Kind], text: str, path: Path, path_fields: tuple[tuple[str, str], ...]
) -> Kind:
    """Check a text against settings: a struct of one struct per table.

    path: gives the folder of relative paths and the name. path_fields: table and key of each path.
    Raises ConfigurationError.
    """
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits is a ValueError, a deep nesting the other.
        msg = f"{path} is not valid TOML: {error}."
        raise ConfigurationError(msg) from error
    _refuse_unknown(kind, tables, path)
    for table, key in path_fields:
        section = tables.get(table)
        if isinstance(section, dict) and isinstance(section.get(key), str) and section[key]:
            section[key] = _from_folder(section[key], f"{table}.{key}", path)
    try:
        return msgspec.convert(tables, kind)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {_sentence(kind, str(error))}") from error


def _from_folder(value: str, place: str, path: Path) -> str:
    try:
        return str(path.parent / Path(value).expanduser())
    except RuntimeError as error:
        raise ConfigurationError(f"{path}: {place}: {value} names no home directory.") from error


def _refuse_unknown(kind: type[Struct], tables: dict[str, Any], path: Path) -> None:
    known = {field.name: _keys(field.type) for field in msgspec.structs.fields(kind)}
    for table, section in tables.items():
        if table not in known:
            raise ConfigurationError(f"{path}: {_unknown('table', table, list(known))}")
        if isinstance(section, dict):
            for key in section:
                if key not in known[table]:
                    raise ConfigurationError(
                        f"{path}, [{table}]: {_unknown('key', key, known[table])}"
                    )


def _keys(section: Any) -> list[str]:  # noqa: ANN401 - a Struct class out of its annotations
    return [field.name for field in msgspec.structs.fields(section)]


def _unknown(what: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f'did you mean "{close[0]}"?' if close else f"there are: {', '.join(known)}."
    return f'the {what} "{name}" is unknown; {hint}'


def _sentence(kind: type[Struct], error: str) -> str:
    """Turn msgspec's "… - at `$.camera.width`" into "camera.width: …; allowed: …."."""
    message, _, where = error.partition(" - at ")
    place = where.strip("`").removeprefix("$").removeprefix(".")
    message = re.sub(r"Object missing required field `(\w+)`", r'the key "\1" is missing', message)
    allowed = _allowed_at(kind, place)
    if allowed:
        return f"{place}: {message}; allowed: {allowed}."
    return f"{place}: {message}." if place else f"{message}."


def _allowed_at(kind: type[Struct], place: str) -> str:
    """Return what a key like camera.kind may be; empty when it is no key."""
    table, _, key = place.partition(".")
    for section in msgspec.structs.fields(kind):
        if section.name == table:
            for field in inspect.type_info(section.type).fields:  # type: ignore[attr-defined]
                if field.name == key:
                    described = _description(field.type)
                    return f"{_allowed(field.type)} ({described.rstrip('.')})"
    return ""


def documentation() -> str:
    """Return the page on `device.toml`, made from the settings' own descriptions."""
    return documentation_of(
        Settings,
        "# Configuration",
        "One TOML file, checked as a whole at start: an unknown key, a wrong type or a value out "
        "of range stops the start with a sentence that names it. Relative paths count from the "
        "file's folder. This page is made by `make docs` from `device/settings.py` and "
        "`tools/desk/gateway/settings.py`.",
    )


def documentation_of(kind: type[Struct], title: str, introduction: str) -> str:
    """Return a page on settings: a struct of one struct per table."""
    parts = [title, "", introduction]
    for field in msgspec.structs.fields(kind):
        parts += ["", *_table(field.name, field.type, required=field.required)]
    return "\n".join(parts) + "\n"


def _table(name: str, section: type[Struct], *, required: bool) -> list[str]:
    lines = [
        f"## `[{name}]`{'' if required else ' (optional)'}",
        "",
        (section.__doc__ or "").strip(),
        "",
        "| key | default | allowed | meaning |",
        "|---|---|---|---|",
    ]
    described = {field.name: field for field in inspect.type_info(section).fields}  # type: ignore[attr-defined]
    for field in msgspec.structs.fields(section):
        info = described[field.name]
        default = "required" if field.required else f"`{_toml(field.default)}`"
        lines.append(
            f"| `{field.name}` | {default} | {_allowed(info.type)} | {_description(info.type)} |"
        )
    return lines


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (
        "the model's own"
        if value is None
        else f'"{value}"'
        if isinstance(value, str)
        else str(value)
    )


def _unwrapped(kind: Any) -> Any:  # noqa: ANN401 - msgspec's own type descriptions
    return _unwrapped(kind.type) if isinstance(kind, inspect.Metadata) else kind


def _description(kind: Any) -> str:  # noqa: ANN401
    while isinstance(kind, inspect.Metadata):
        schema = kind.extra_json_schema or {}
        if "description" in schema:
            return str(schema["description"])
        kind = kind.type
    return ""


def _allowed(kind: Any) -> str:  # noqa: ANN401
    kind = _unwrapped(kind)
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f'`"{value}"`' for value in kind.values)
    if isinstance(kind, inspect.BoolType):
        return "`true`, `false`"
    if isinstance(kind, (inspect.IntType, inspect.FloatType)):
        return f"{kind.ge:g} to {kind.le:g}" if kind.ge is not None and kind.le is not None else ""
    if isinstance(kind, inspect.UnionType):
        parts = (part for part in kind.types if not isinstance(part, inspect.NoneType))
        return ", ".join(_allowed(part) for part in parts)
    return "text"

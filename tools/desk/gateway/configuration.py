"""Reads and checks `desk.toml`. Unknown keys are errors with a suggestion.

Relative paths, also that of an SQLite database, count from the file's folder.
"""

from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from device.configuration import parse_as, read_text
from device.errors import ConfigurationError
from device.policy.transport import refusal
from tools.desk.gateway.settings import LONGEST_H, EmitSettings, Settings

DEFAULT_PATH = Path("desk.toml")
_PATH_FIELDS = (
    ("desk", "keys"),
    *(
        (table, key)
        for table in ("broker", "emit_mqtt")
        for key in ("ca_file", "certificate_file", "key_file", "password_file")
    ),
    ("emit", "webhook_secret_file"),
    ("emit", "webhook_ca_file"),
)
_SQLITE = "sqlite:///"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def read_desk_configuration(path: Path) -> Settings:
    """Read `desk.toml`. Raises ConfigurationError naming the key and what is wrong."""
    return parse_desk_configuration(read_text(path), path)


def parse_desk_configuration(text: str, path: Path) -> Settings:
    """Check a configuration's text; `path` gives the folder of relative paths and the name."""
    settings = parse_as(Settings, text, path, _PATH_FIELDS)
    settings = _with_absolute_database(settings, path)
    try:
        check_settings(settings)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return settings


def check_settings(settings: Settings) -> None:
    """Refuse settings that contradict each other, or the law. Raises ConfigurationError."""
    because = refusal(settings.broker)
    if because is not None:
        raise ConfigurationError(because)
    if "mqtt" in settings.emit.to and (because := refusal(settings.emit_mqtt)) is not None:
        raise ConfigurationError(because.replace("broker.tls", "emit_mqtt.tls"))
    if "webhook" in settings.emit.to:
        _check_webhook(settings.emit)
    if not settings.emit.to:
        raise ConfigurationError(
            'emit.to: nothing would reach anybody; name "stdout", for example.'
        )
    retention = settings.retention
    if retention.alerts_h > LONGEST_H and not retention.longer_because.strip():
        raise ConfigurationError(
            f"retention.alerts_h is over {LONGEST_H:g}: say in retention.longer_because what law "
            "allows it (R25)."
        )


def _check_webhook(emit: EmitSettings) -> None:
    url = urlsplit(emit.webhook_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ConfigurationError(
            "emit.webhook_url is no address of a web service: write https://host/path."
        )
    if url.scheme == "http" and url.hostname not in _LOOPBACK:
        raise ConfigurationError(
            f"emit.webhook_url would send faces to {url.hostname} in the clear: use https."
        )
    if url.username or url.password:
        raise ConfigurationError(
            "emit.webhook_url holds a password: move it to emit.webhook_secret_file."
        )


def _with_absolute_database(settings: Settings, path: Path) -> Settings:
    url = settings.desk.database
    if not url.startswith(_SQLITE) or not url.removeprefix(_SQLITE):
        return settings
    place = (path.parent / url.removeprefix(_SQLITE)).absolute()
    desk = msgspec.structs.replace(settings.desk, database=f"{_SQLITE}{place}")
    return msgspec.structs.replace(settings, desk=desk)

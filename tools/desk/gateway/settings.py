"""Every setting of the desk, frozen and validated: one class per table of `desk.toml`.

A field's `description` is its line in the documentation, with unit and range. Nothing here reads a
file: see `tools.desk.gateway.configuration`.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from device.protocol.cell import SuiteName
from device.settings import BrokerSettings

TargetName = Literal["stdout", "mqtt", "webhook"]
LONGEST_H = 24.0
"""R25: what is longer needs a reason."""


def _text(description: str) -> Meta:
    return Meta(description=description)


def _number(description: str, ge: float, le: float) -> Meta:
    return Meta(description=description, ge=ge, le=le)


class DeskSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who this desk is, and where it keeps what it received."""

    keys: Annotated[
        str, _text("The desk's private keys (`passerby-desk keys create` makes the file).")
    ] = "desk.key"
    database: Annotated[
        str,
        _text(
            "`sqlite:///desk.db` for one gateway, `postgresql://user@host/name` for several. Leave "
            "a password to ~/.pgpass or the variable PGPASSFILE."
        ),
    ] = "sqlite:///desk.db"
    suite: Annotated[
        SuiteName, _text("How to seal: post-quantum hybrid, or X25519 alone. Either is opened.")
    ] = "mlkem768-x25519"


class GatewaySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How one gateway behaves at the broker."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
            description="Tells gateways apart: no two of one broker have the same.",
        ),
    ] = "1"
    session_h: Annotated[
        float,
        _number(
            "Hours for which the broker keeps messages for this gateway while it is away. With "
            "several gateways 0: a broker would give one that is away its share, and devices would "
            "have to send that again.",
            0,
            720,
        ),
    ] = LONGEST_H
    resend_orders_s: Annotated[
        float, _number("Seconds after which an order that was not obeyed is sent again.", 1, 3600)
    ] = 30.0


class EmitSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where opened events go, as plain CloudEvents."""

    to: Annotated[
        tuple[TargetName, ...],
        _text(
            "One or more of `stdout` (JSON lines), `mqtt` (see [emit_mqtt]) and `webhook`. Each "
            "gets every event at least once."
        ),
    ] = ("stdout",)
    webhook_url: Annotated[
        str, _text("Where to POST events; https, or an address of this machine.")
    ] = ""
    webhook_secret_file: Annotated[
        str, _text("File with the secret of the webhook, readable by this service only.")
    ] = ""
    webhook_authentication: Annotated[
        Literal["hmac", "bearer"],
        _text(
            "What the secret is for: `hmac` signs each request (standardwebhooks.com), `bearer` "
            "sends it along."
        ),
    ] = "hmac"
    webhook_ca_file: Annotated[
        str, _text("Certificate authority of the webhook; empty: the system's.")
    ] = ""
    webhook_timeout_s: Annotated[
        float, _number("Longest that one request may take, in seconds.", 0.1, 300)
    ] = 10.0


class DeskRetentionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How long what alerts say is kept (R25). Ids and times stay, to recognise repetitions."""

    alerts_h: Annotated[
        float,
        _number(
            "Hours after which the content of an alert is erased; they count from its arrival.",
            0.01,
            744,
        ),
    ] = LONGEST_H
    longer_because: Annotated[
        str, _text("The legal basis, in words; needed for more than 24 hours.")
    ] = ""


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `desk.toml`."""

    desk: DeskSettings = DeskSettings()
    gateway: GatewaySettings = GatewaySettings()
    broker: BrokerSettings = BrokerSettings()
    emit: EmitSettings = EmitSettings()
    emit_mqtt: BrokerSettings = BrokerSettings(port=1883, tls=False)
    retention: DeskRetentionSettings = DeskRetentionSettings()

"""A connection only to learn why the broker does not take us; for `passerby doctor`.

paho does not say why TLS failed after the handshake. So this speaks TLS and the first MQTT packet
itself, and waits for the answer.
"""

import os
import socket
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from device.alerts.tls import explain, tls_context
from device.errors import BrokerError
from device.settings import BrokerSettings

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SOON_DAYS = 30
"""From here on an ok says when the device's certificate runs out."""
_TIMEOUT_S = 5.0
# A broker that refuses a certificate does so one round trip after the handshake.
_REFUSAL_S = 2.0
_POLL_S = 0.1
_CONNACK = b"\x20"
_DISCONNECT = b"\xe0\x00"


def diagnose(broker: BrokerSettings) -> str | None:
    """Return why TLS to the broker fails and what to do, in a sentence; None when it works.

    Takes at most some ten seconds. Nothing is published or kept; MQTT's own refusals (user,
    protocol version) are not judged here.
    """
    if not broker.tls:
        return None
    try:
        context = tls_context(broker)
        _check_dates(broker, datetime.now(UTC))
        _probe(broker, context)
    except BrokerError as error:
        return str(error)
    except (OSError, ValueError) as error:  # ssl's are OSError; ValueError: a host that is no name
        return explain(broker, error)
    return None


def expiry_note(broker: BrokerSettings, now: datetime) -> str:
    """Return when the device's certificate runs out if that is soon, else ""."""
    if not (broker.tls and broker.certificate_file):
        return ""
    left = _certificate(broker).not_valid_after_utc - now
    if left >= timedelta(days=SOON_DAYS):
        return ""
    days = f"{left.days} day{'' if left.days == 1 else 's'}" if left.days > 0 else "hours"
    return (
        f"this device's certificate expires in {days}: make a new one with `passerby-field pki "
        "device ID --renew`"
    )


def _check_dates(broker: BrokerSettings, now: datetime) -> None:
    """Raise BrokerError when the device's own certificate is not valid by the device's clock."""
    if not broker.certificate_file:
        return
    certificate = _certificate(broker)
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < since:
        raise BrokerError(
            f"This device's certificate is valid only from {since:%Y-%m-%d}, and its clock says "
            f"{now:%Y-%m-%d}: check the clock (`timedatectl`)."
        )
    if now >= until:
        raise BrokerError(
            f"This device's certificate ran out on {until:%Y-%m-%d}: make a new one with "
            "`passerby-field pki device ID --renew`, or check the clock (`timedatectl`)."
        )


def _certificate(broker: BrokerSettings) -> "Certificate":
    # Only doctor needs it: the appliance's memory stays as it is.
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    try:
        return load_pem_x509_certificate(Path(broker.certificate_file).read_bytes())
    except (OSError, ValueError) as error:
        raise BrokerError(
            f"broker.certificate_file {broker.certificate_file} is no certificate ({error}): bring "
            "device.pem of `passerby-field pki device`."
        ) from error


def _probe(broker: BrokerSettings, context: ssl.SSLContext) -> None:
    """Speak TLS and one MQTT packet. Raises OSError or BrokerError when the broker refuses."""
    place = f"The broker {broker.host}:{broker.port}"
    with (
        socket.create_connection((broker.host, broker.port), _TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=broker.host) as sock,
    ):
        answer = _answer(sock)
    if answer == b"":
        raise BrokerError(
            f"{place} cuts the connection and does not say why: look into the broker's log."
        )
    if answer != _CONNACK:
        raise BrokerError(f"{place} speaks TLS but not MQTT on this port: check broker.port.")


def _answer(sock: ssl.SSLSocket) -> bytes:
    """Return the first byte of what the broker says; b"" when it cuts the connection."""
    try:
        # Nothing is sent before the refusal may have come: data that a broker has not read when it
        # closes makes the kernel throw the refusal away.
        answer = _await_refusal(sock)
        if answer is None:
            sock.settimeout(_TIMEOUT_S)
            sock.sendall(_connect_packet())
            answer = sock.recv(1)
        with suppress(OSError):
            sock.sendall(_DISCONNECT)
    except (ConnectionResetError, BrokenPipeError):
        return b""
    return answer


def _await_refusal(sock: ssl.SSLSocket) -> bytes | None:
    """Read until the broker took our certificate (it then sends a ticket) or time is up."""
    sock.settimeout(_POLL_S)
    deadline = time.monotonic() + _REFUSAL_S
    while time.monotonic() < deadline:
        try:
            return sock.recv(1)
        except TimeoutError:
            session = sock.session
            if session is not None and session.has_ticket:
                break
    return None


def _connect_packet() -> bytes:
    """Return CONNECT of MQTT 3.1.1, which every broker answers, with an id that nobody else has."""
    client = b"passerby-" + os.urandom(6).hex().encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x0a" + len(client).to_bytes(2, "big") + client
    return b"\x10" + bytes([len(body)]) + body

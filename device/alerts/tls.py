"""TLS to the broker: its settings, and every failure in a sentence for a technician.

TLS 1.3 only, the broker's name is checked, R46. With TLS 1.3 a broker that refuses our certificate
says so only after the handshake, at the first read: `device.alerts.diagnosis` waits for that.
"""

import socket
import ssl
from pathlib import Path

from device.errors import BrokerError
from device.settings import BrokerSettings

# By X.509 verification code (openssl/x509_vfy.h): what is wrong with the broker's certificate.
_BROKER_CERTIFICATE = {
    9: "is not valid yet: check this device's clock (`timedatectl`), then the broker's",
    10: "has run out: renew it with `passerby-field pki broker --renew` and restart the broker. "
    "If it has not, this device's clock is wrong (`timedatectl`)",
    18: "is not trusted: it is self-signed. Put one of the site's authority on the broker "
    "(`passerby-field pki broker`)",
    23: "was revoked: the broker needs a new one (`passerby-field pki broker --renew`)",
    26: "is not meant for a broker: put broker.pem there (`passerby-field pki broker`), not a "
    "device's",
    62: "does not carry this name: correct broker.host, or make one that does "
    "(`passerby-field pki broker --name`)",
    64: "does not carry this address: correct broker.host, or make one that does "
    "(`passerby-field pki broker --name`)",
}
_UNKNOWN_AUTHORITY = (
    "is not trusted ({reason}): broker.ca_file must be ca.pem of the authority that signed it. "
    "If it is, somebody else answers in the broker's place"
)

# By the reason that OpenSSL gives: what the broker, or this device, found wrong.
_REASONS = {
    "CERTIFICATE_REQUIRED": "asks for this device's certificate and got none: set "
    "broker.certificate_file and broker.key_file",
    "CERTIFICATE_EXPIRED": "says that this device's certificate has run out: renew it with "
    "`passerby-field pki device ID --renew`. If it has not, the broker's clock is wrong or its "
    "revocation list has run out (`passerby-field pki crl`, then restart the broker)",
    "CERTIFICATE_REVOKED": "refuses this device: its certificate was revoked. If the device is "
    "still yours, make another with `passerby-field pki device ID`",
    "UNKNOWN_CA": "does not know the authority that signed this device's certificate: "
    "broker.certificate_file must be of the site's own authority. If it is, the broker lacks "
    "ca.pem or crl.pem",
    "UNSUPPORTED_CERTIFICATE": "refuses the kind of certificate: broker.certificate_file must be "
    "device.pem of `passerby-field pki device`, not a broker's",
    "BAD_CERTIFICATE": "cannot use this device's certificate: is it valid already (the broker's "
    "clock), and device.pem of `passerby-field pki device`?",
    "CERTIFICATE_UNKNOWN": "refuses this device's certificate and does not say why: look into the "
    "broker's log",
    "DECRYPT_ERROR": "finds that this device's certificate was not signed by the authority whose "
    "name it carries, or not with broker.key_file: make both anew with `passerby-field pki device`",
    "ACCESS_DENIED": "denies this device access: look into the broker's access list",
    "PROTOCOL_VERSION": "does not speak TLS 1.3: set `tls_version tlsv1.3` there "
    "(firmware_config/broker), or update it",
    "UNSUPPORTED_PROTOCOL": "does not speak TLS 1.3: set `tls_version tlsv1.3` there "
    "(firmware_config/broker), or update it",
    "HANDSHAKE_FAILURE": "has no cipher or curve in common with this device: use the broker's "
    "configuration of firmware_config/broker",
    "WRONG_VERSION_NUMBER": "does not speak TLS on this port: 8883 is the usual one with TLS, "
    "1883 is without; check broker.port",
    "UNEXPECTED_EOF": "ends the connection during the handshake: it speaks no TLS on this port "
    "(check broker.port), or something between cuts it",
}


def tls_context(broker: BrokerSettings) -> ssl.SSLContext:
    """Return the TLS settings: 1.3 only, the broker's name checked. Raises BrokerError."""
    certificate, key = broker.certificate_file, broker.key_file
    for name, path in (("ca", broker.ca_file), ("certificate", certificate), ("key", key)):
        _readable(name, path)
    try:
        context = ssl.create_default_context(cafile=broker.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(f"ca_file {broker.ca_file}", error) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if certificate:
        try:
            context.load_cert_chain(certificate, key or None, _no_passphrase)
        except (OSError, ssl.SSLError) as error:
            raise _pair_error(broker, error) from error
    return context


def explain(broker: BrokerSettings, error: Exception) -> str:
    """Return why connecting failed and what to do, in a sentence."""
    place = f"The broker {broker.host}:{broker.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        unknown = _UNKNOWN_AUTHORITY.format(reason=error.verify_message)
        wrong = _BROKER_CERTIFICATE.get(error.verify_code, unknown)
        return f"{place} shows a certificate that {wrong}."
    if isinstance(error, ssl.SSLError):
        return f"{place} {_refusal(error)}."
    return _unreachable(broker, error)


def _unreachable(broker: BrokerSettings, error: Exception) -> str:
    place = f"The broker {broker.host}:{broker.port}"
    if isinstance(error, socket.gaierror):
        return f"The broker's name {broker.host} is not known: check broker.host and the network."
    if isinstance(error, TimeoutError):
        return f"{place} does not answer: check the network and its firewall."
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return f"{place} {_REASONS['UNEXPECTED_EOF']}."
    reason = getattr(error, "strerror", None) or error
    return f"{place} cannot be reached ({reason}): is it running, and the port right?"


def _refusal(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        reason = "UNEXPECTED_EOF"
    # OpenSSL puts the version in front, as in SSLV3_ALERT_CERTIFICATE_REVOKED, also with TLS 1.3.
    known = next((text for end, text in _REASONS.items() if reason.endswith(end)), None)
    return known or f"and this device do not agree on TLS ({reason or error}): check broker.port"


def _readable(name: str, path: str) -> None:
    """Raise BrokerError unless the file, if one is named, can be read: ssl does not say which."""
    if not path:
        return
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise BrokerError(
            f"broker.{name}_file {path} cannot be read ({error.strerror or error}): correct the "
            "path, or let the service's user read it."
        ) from error


def _no_passphrase() -> str:
    # OpenSSL would ask on the terminal, and wait for somebody who is not there.
    raise BrokerError(
        "broker.key_file is protected by a passphrase, and at a boot nobody is there to type it: "
        "take it off with `openssl pkey`, and let only the service's user read the file."
    )


def _pair_error(broker: BrokerSettings, error: Exception) -> BrokerError:
    files = f"certificate_file {broker.certificate_file}"
    if broker.key_file:
        files += f" and key_file {broker.key_file}"
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return BrokerError(
            f"broker.{files} do not belong together: bring both from one folder of "
            "`passerby-field pki device`."
        )
    return _unusable(files, error)


def _unusable(files: str, error: Exception) -> BrokerError:
    return BrokerError(
        f"The TLS files of [broker] cannot be used: {files} must be PEM as `passerby-field pki` "
        f"writes it ({error})."
    )

"""`Webhook`: POSTs each event, one request after the other, in CloudEvents' structured mode.

Redirects are not followed and proxies not used: an event goes where the configuration says, or
nowhere. The secret signs requests as standardwebhooks.com describes, or is a bearer token.
"""

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from device.errors import ConfigurationError
from tools.desk.gateway.settings import EmitSettings
from tools.desk.gateway.targets import CONTENT_TYPE, Emission, Result

_SUCCESS = range(200, 300)
_PREFIX = "whsec_"


class Webhook:
    """A `Target`. Raises ConfigurationError when its secret or authority cannot be read."""

    name = "webhook"

    def __init__(self, emit: EmitSettings, now_s: Callable[[], float] = time.time) -> None:
        self._url = urlsplit(emit.webhook_url)
        self._place = f"{self._url.scheme}://{self._url.netloc}"
        self._timeout_s = emit.webhook_timeout_s
        self._bearer = emit.webhook_authentication == "bearer"
        self._secret = _secret(emit)
        self._context = _context(emit) if self._url.scheme == "https" else None
        self._now_s = now_s

    def emit(self, batch: Sequence[Emission]) -> Result:
        """See `Target.emit`."""
        for done, one in enumerate(batch):
            fault = self._post(one)
            if fault is not None:
                return Result(done, fault)
        return Result(len(batch))

    def close(self) -> None:
        """See `Target.close`."""

    def _post(self, one: Emission) -> str | None:
        """Return why it failed, or None."""
        connection = self._connection()
        # The timeout of a socket begins anew with every byte: somebody who drips is cut off here.
        guard = threading.Timer(self._timeout_s, _hang_up, (connection,))
        guard.daemon = True
        guard.start()
        try:
            path = self._url.path or "/"
            target = f"{path}?{self._url.query}" if self._url.query else path
            body = one.event.encode()
            connection.request("POST", target, body, self._headers(one.id, body))
            status = connection.getresponse().status
        except TimeoutError:
            return f"The webhook {self._place} does not answer in {self._timeout_s:g} s."
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or error or type(error).__name__
            return f"The webhook {self._place} cannot be reached ({reason})."
        finally:
            guard.cancel()
            connection.close()
        if status in _SUCCESS:
            return None
        return f"The webhook {self._place} answers {status} instead of 2xx; events wait."

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._context is None:
            return http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(
            host, port, timeout=self._timeout_s, context=self._context
        )

    def _headers(self, identifier: str, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": CONTENT_TYPE, "webhook-id": identifier}
        if self._secret is None:
            return headers
        if self._bearer:
            return headers | {"Authorization": f"Bearer {self._secret.decode()}"}
        when = str(int(self._now_s()))
        signed = f"{identifier}.{when}.".encode() + body
        digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return headers | {"webhook-timestamp": when, "webhook-signature": signature}


def _hang_up(connection: http.client.HTTPConnection) -> None:
    sock = connection.sock
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _secret(emit: EmitSettings) -> bytes | None:
    if not emit.webhook_secret_file:
        return None
    try:
        text = Path(emit.webhook_secret_file).read_text("ascii").strip()
        if emit.webhook_authentication == "hmac" and text.startswith(_PREFIX):
            return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"emit.webhook_secret_file {emit.webhook_secret_file} cannot be read ({error})."
        ) from error
    if not text:
        raise ConfigurationError(f"{emit.webhook_secret_file} is empty: it must hold a secret.")
    return text.encode()


def _context(emit: EmitSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=emit.webhook_ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"emit.webhook_ca_file {emit.webhook_ca_file} cannot be used ({error})."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context

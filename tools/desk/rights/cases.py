"""`Cases`: requests as files. The whole of one is in the vault; its ticket, without a name, beside.

<workplace>/rights/requests/<id>.age   everything, for the keepers only
                            <id>.json  dates and decision, so that a deadline needs no passphrase
"""

import re
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from device.errors import ConfigurationError, StorageError
from device.files import write_atomically
from tools.desk.rights.requests import REQUEST_ID, Request, Ticket, checked
from tools.desk.watchlist.vault import Vault, destroy

LARGEST_TICKET_BYTES: Final = 4096
_PADDED_BYTES: Final = 16_384
"""Requests are padded to a multiple of this: their size shall not tell how much was found."""


class Cases:
    """The requests of one desk. Every method raises StorageError, in one sentence."""

    def __init__(self, folder: Path, vault: Vault | None = None) -> None:
        """folder: `<workplace>/rights/requests`. vault: None where only tickets are read."""
        self._folder = folder
        self._vault = vault

    def keep(self, request: Request) -> None:
        """Write a request, then its ticket; a kill in between is found by `tickets`.

        Raises ConfigurationError when it could not be read again.
        """
        content = msgspec.json.encode(checked(request))
        padded = content + b" " * (-len(content) % _PADDED_BYTES)
        path = self._folder / f"{request.ticket.id}.age"
        self._opened_vault().write(path, padded)
        write_atomically(path.with_suffix(".json"), msgspec.json.encode(request.ticket))

    def read(self, identifier: str) -> Request:
        """Return a request. Raises ConfigurationError when there is none of that id."""
        path = self._folder / f"{identifier}.age"
        if not re.fullmatch(REQUEST_ID, identifier) or not path.is_file():
            raise ConfigurationError(
                f"There is no request {identifier[:40]}: `passerby-desk rights list` shows all."
            )
        try:
            found = msgspec.json.decode(self._opened_vault().read(path), type=Request)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StorageError(f"{path} is no request, or of another version.") from error
        if found.ticket.id != identifier:
            raise StorageError(f"{path} holds another request than its name says: restore it.")
        return found

    def tickets(self) -> list[Ticket]:
        """Return all tickets; raise when one is damaged, or a request and its ticket are apart."""
        whole = {path.stem for path in self._folder.glob("*.age")}
        named = {path.stem for path in self._folder.glob("*.json")}
        for identifier in sorted(whole - named):
            raise StorageError(
                f"The request {identifier} has no ticket: a command was interrupted. "
                f"`passerby-desk rights search --request {identifier}` finishes it."
            )
        for identifier in sorted(named - whole):
            raise StorageError(
                f"The request {identifier} is gone, only its ticket is left: take "
                f"{self._folder / identifier}.age from the backup."
            )
        return [_ticket(self._folder / f"{identifier}.json") for identifier in sorted(named)]

    def erase_closed_before(self, day: date) -> list[str]:
        """Erase requests that were closed before a day; return their ids (R23)."""
        old = [
            one.id for one in self.tickets() if one.closed_on is not None and one.closed_on < day
        ]
        for identifier in old:
            # First the ticket: a kill in between is found, and the request is still whole.
            (self._folder / f"{identifier}.json").unlink(missing_ok=True)
            destroy(self._folder / f"{identifier}.age")
        return old

    def _opened_vault(self) -> Vault:
        if self._vault is None:
            raise ConfigurationError("A request opens with a keeper's --keeper only.")
        return self._vault


def _ticket(path: Path) -> Ticket:
    try:
        with path.open("rb") as file:
            found = msgspec.json.decode(file.read(LARGEST_TICKET_BYTES + 1), type=Ticket)
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{path} is damaged: `passerby-desk rights search --request {path.stem}` makes it anew."
        ) from error
    if found.id != path.stem:
        raise StorageError(f"{path} holds the ticket of another request: restore it.")
    return found

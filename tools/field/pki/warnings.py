"""What a technician must do soon, so that nobody is shut out or let in wrongly."""

from datetime import datetime, timedelta

from device.errors import StorageError
from tools.field.pki.authority import CERTIFICATE_DAYS, Authority
from tools.field.pki.register import Issued, Kind, Register

SOON_DAYS = 60
"""Two months: a visit to a device has to be planned."""
_COMMAND = {Kind.BROKER: "broker --name", Kind.GATEWAY: "gateway", Kind.DEVICE: "device"}


def warnings(authority: Authority, now: datetime) -> list[str]:
    """Return a sentence for each thing that runs out soon or is unfinished. Raises StorageError."""
    soon = now + timedelta(days=SOON_DAYS)
    register = authority.register
    found = [_renewal(one, now) for one in _newest(register) if one.until < soon]
    found += _list(authority, register, soon)
    end = authority.certificate.not_valid_after_utc
    if end < now + timedelta(days=CERTIFICATE_DAYS):
        found.append(
            f"The authority runs out on {end:%Y-%m-%d}, and everything it signed with it: make a "
            "new one with `pki init` and plan a visit to every device."
        )
    return found


def _newest(register: Register) -> list[Issued]:
    """Return of each name the certificate that lasts longest; no name that was revoked since."""
    newest: dict[tuple[Kind, str], Issued] = {}
    for one in register.certificates:
        key = (one.kind, one.name)
        if one.revoked is None and (key not in newest or newest[key].until < one.until):
            newest[key] = one
    return list(newest.values())


def _renewal(one: Issued, now: datetime) -> str:
    verb = "ran out" if one.until <= now else "runs out"
    name = "" if one.kind is Kind.GATEWAY else f" {one.name}"
    return (
        f'The certificate of the {one.kind} "{one.name}" {verb} on {one.until:%Y-%m-%d}: '
        f"`pki {_COMMAND[one.kind]}{name} --renew`."
    )


def _list(authority: Authority, register: Register, soon: datetime) -> list[str]:
    """Return what is wrong with the revocation list."""
    try:
        revocations = authority.read_list()
    except StorageError as error:
        return [str(error)]
    end = revocations.next_update_utc
    if any(
        revocations.get_revoked_certificate_by_serial_number(serial) is None
        for serial, _ in register.revoked()
    ):
        return ["crl.pem lacks a revoked certificate: `pki crl`, then bring it to the broker."]
    if end is not None and end >= soon:
        return []
    sentence = (
        f"The revocation list runs out on {end:%Y-%m-%d}, and then the broker refuses everybody: "
        "`pki crl`, then bring it to the broker."
    )
    return [sentence]

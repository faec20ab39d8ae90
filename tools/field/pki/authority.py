"""The folder of a site's authority: made once, then read, and changed under a lock.

The order of writing is the safety: register, then files, as a whole folder that appears at once.
"""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from device.errors import ConfigurationError, StorageError
from device.files import write_atomically
from tools.field.pki import certificates
from tools.field.pki.certificates import Signer
from tools.field.pki.folder import PUBLIC, alone, claim, read_signer, replace_folder
from tools.field.pki.names import GATEWAY, checked_device, checked_hosts
from tools.field.pki.register import Issued, Kind, Register, read_register, write_register

AUTHORITY_DAYS = 3650
"""Ten years, about the life of an installation: a new authority means a visit to every device."""
CERTIFICATE_DAYS = 397
"""A year and a month: renewed at the yearly visit, with a month to be late."""
LIST_DAYS = 397
"""As long as a certificate. The broker reads the list from its own disk, so that a shorter life
protects nothing, but a list that has run out shuts every device out."""


class Authority:
    """A site's authority. Its methods raise StorageError or ConfigurationError."""

    def __init__(self, folder: Path, signer: Signer) -> None:
        """Use `Authority.create` or `Authority.open`."""
        self.folder = folder
        self.certificate = signer.certificate
        self._signer = signer

    @classmethod
    def create(cls, folder: Path, now: datetime, days: int = AUTHORITY_DAYS) -> "Authority":
        """Make a new authority in `folder`, which must be new or empty."""
        key = certificates.new_key()
        signer = Signer(certificates.authority(key, days, now), key)
        made = cls(folder, signer)
        claim(folder)
        # ca.pem comes last: a folder without it is no authority yet, and may be thrown away.
        write_atomically(folder / "ca.key", certificates.key_pem(key))
        write_register(folder, Register())
        made.renew_list(now)
        write_atomically(
            folder / "ca.pem", certificates.certificate_pem(signer.certificate), PUBLIC
        )
        return made

    @classmethod
    def open(cls, folder: Path) -> "Authority":
        """Read the authority in `folder`."""
        return cls(folder, read_signer(folder))

    @property
    def register(self) -> Register:
        """The register as it is on the disk now."""
        return read_register(self.folder)

    def device(
        self, name: str, now: datetime, days: int = CERTIFICATE_DAYS, *, renew: bool = False
    ) -> Path:
        """Make a device's key and certificate; return their folder. renew: although it has one."""
        return self._issue(Kind.DEVICE, [checked_device(name)], days, now, renew=renew)

    def gateway(self, now: datetime, days: int = CERTIFICATE_DAYS, *, renew: bool = False) -> Path:
        """Make the gateways' key and certificate; return their folder."""
        return self._issue(Kind.GATEWAY, [GATEWAY], days, now, renew=renew)

    def broker(
        self,
        hosts: list[str],
        now: datetime,
        days: int = CERTIFICATE_DAYS,
        *,
        renew: bool = False,
    ) -> Path:
        """Make a broker's key and certificate for its names and addresses; return their folder."""
        return self._issue(Kind.BROKER, checked_hosts(hosts), days, now, renew=renew)

    def revoke(self, name: str, now: datetime) -> int:
        """Revoke all certificates of a device, or of "gateway"; write the list.

        Return how many were still valid. A broker's is not revoked: devices read no list.
        """
        kind = Kind.GATEWAY if name == GATEWAY else Kind.DEVICE
        with alone(self.folder):
            register = self.register
            known = register.of(kind, name)
            if not known:
                raise ConfigurationError(f'No device "{name}" has a certificate: see `pki list`.')
            write_register(self.folder, register.with_revoked(kind, name, now))
            self._write_list(now)
        return sum(one.valid(now) for one in known)

    def renew_list(self, now: datetime, days: int = LIST_DAYS) -> datetime:
        """Write the revocation list anew; return until when it is good."""
        with alone(self.folder):
            return self._write_list(now, days)

    def read_list(self) -> x509.CertificateRevocationList:
        """Return the revocation list that lies in the folder."""
        path = self.folder / "crl.pem"
        try:
            return x509.load_pem_x509_crl(path.read_bytes())
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{path} cannot be read ({error}): write it anew with `pki crl`."
            ) from error

    def _write_list(self, now: datetime, days: int = LIST_DAYS) -> datetime:
        register = self.register.with_list()
        until = self._end(now, days)
        data = certificates.revocation_list(
            self._signer, register.revoked(), register.lists, until, now
        )
        write_register(self.folder, register)
        write_atomically(self.folder / "crl.pem", data, PUBLIC)
        return until

    def _issue(
        self, kind: Kind, names: list[str], days: int, now: datetime, *, renew: bool
    ) -> Path:
        with alone(self.folder):
            register = self.register
            if not renew and any(one.valid(now) for one in register.of(kind, names[0])):
                raise ConfigurationError(
                    f'"{names[0]}" has a valid certificate: --renew makes another beside it.'
                )
            until = self._end(now, days)
            serial = x509.random_serial_number()
            since = now - certificates.BACKDATED
            issued = Issued(f"{serial:x}", kind, names[0], since, until)
            write_register(self.folder, register.with_one(issued))
            return self._write_files(issued, names)

    def _write_files(self, issued: Issued, names: list[str]) -> Path:
        key = certificates.new_key()
        if issued.kind is Kind.BROKER:
            data = certificates.server(self._signer, key, issued, names)
        else:
            data = certificates.client(self._signer, key, issued)
        target = self.folder / f"{issued.kind}s" / issued.name
        files = {
            f"{issued.kind}.key": (certificates.key_pem(key), 0o600),
            f"{issued.kind}.pem": (data, PUBLIC),
            "ca.pem": (certificates.certificate_pem(self.certificate), PUBLIC),
        }
        replace_folder(target, files)
        return target

    def _end(self, now: datetime, days: int) -> datetime:
        """Return when something signed now ends: never after the authority itself."""
        last = self.certificate.not_valid_after_utc
        if now >= last:
            raise ConfigurationError(
                f"The authority ran out on {last:%Y-%m-%d}: make a new one in another folder with "
                "`pki init`, and give every device a new certificate."
            )
        return min(now + timedelta(days=days), last).replace(microsecond=0)

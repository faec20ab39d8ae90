import os
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from device.errors import ConfigurationError, StorageError
from tools.field.main import main
from tools.field.pki import Authority, Kind
from tools.field.pki import folder as folder_module
from tools.field.pki.warnings import warnings

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EXTENSIONS = {"BasicConstraints": True, "KeyUsage": True, "SubjectKeyIdentifier": False}


@pytest.fixture
def authority(scratch):
    return Authority.create(scratch / "pki", NOW)


def certificate(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def extension(one, kind):
    return one.extensions.get_extension_for_class(kind).value


def state(folder):
    """All files of an authority, but the lock."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


class TestAuthority:
    def test_it_may_sign_certificates_but_no_authorities(self, authority):
        one = certificate(authority.folder / "ca.pem")
        assert extension(one, x509.BasicConstraints) == x509.BasicConstraints(
            ca=True, path_length=0
        )
        usage = extension(one, x509.KeyUsage)
        assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
        for name, critical in EXTENSIONS.items():
            found = one.extensions.get_extension_for_class(getattr(x509, name))
            assert found.critical is critical

    def test_it_lasts_ten_years_and_begins_a_day_ago(self, authority):
        one = authority.certificate
        assert one.not_valid_before_utc == NOW - DAY
        assert one.not_valid_after_utc == NOW + 3650 * DAY

    def test_its_name_is_random_and_its_own(self, authority, scratch):
        other = Authority.create(scratch / "other", NOW)
        assert authority.certificate.subject != other.certificate.subject

    def test_only_its_owner_reads_the_key(self, authority):
        assert (authority.folder / "ca.key").stat().st_mode & 0o777 == 0o600
        assert authority.folder.stat().st_mode & 0o777 == 0o700

    def test_it_is_never_overwritten(self, authority):
        before = state(authority.folder)
        with pytest.raises(ConfigurationError, match="never overwritten"):
            Authority.create(authority.folder, NOW)
        assert state(authority.folder) == before

    def test_a_key_that_others_read_is_refused(self, authority):
        (authority.folder / "ca.key").chmod(0o640)
        with pytest.raises(StorageError, match="chmod 600"):
            Authority.open(authority.folder)

    def test_a_key_of_another_authority_is_refused(self, authority, scratch):
        other = Authority.create(scratch / "other", NOW)
        (authority.folder / "ca.key").write_bytes((other.folder / "ca.key").read_bytes())
        with pytest.raises(StorageError, match="do not belong together"):
            Authority.open(authority.folder)

    @pytest.mark.parametrize("name", ["ca.key", "ca.pem"])
    def test_a_missing_or_damaged_file_is_said(self, authority, name):
        (authority.folder / name).write_text("-----BEGIN nothing")
        with pytest.raises(StorageError, match="no usable authority"):
            Authority.open(authority.folder)
        (authority.folder / name).unlink()
        with pytest.raises(StorageError, match="no usable authority"):
            Authority.open(authority.folder)

    def test_when_it_has_run_out_it_signs_nothing(self, authority):
        with pytest.raises(ConfigurationError, match="ran out on 2037-02-26"):
            authority.device("d-01", NOW + 3650 * DAY)


class TestDevice:
    def test_its_certificate_is_for_a_client_and_carries_its_id(self, authority):
        one = certificate(authority.device("d-01", NOW) / "device.pem")
        assert one.subject.rfc4514_string() == "CN=d-01"
        assert list(extension(one, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        assert extension(one, x509.BasicConstraints).ca is False
        usage = extension(one, x509.KeyUsage)
        assert usage.digital_signature
        assert not usage.key_cert_sign
        issuer = extension(authority.certificate, x509.SubjectKeyIdentifier)
        assert extension(one, x509.AuthorityKeyIdentifier).key_identifier == issuer.digest
        one.verify_directly_issued_by(authority.certificate)

    def test_it_lasts_a_year_and_a_month(self, authority):
        one = certificate(authority.device("d-01", NOW) / "device.pem")
        assert (one.not_valid_before_utc, one.not_valid_after_utc) == (NOW - DAY, NOW + 397 * DAY)

    def test_it_never_outlives_the_authority(self, authority):
        later = NOW + 3600 * DAY
        one = certificate(authority.device("d-01", later) / "device.pem")
        assert one.not_valid_after_utc == authority.certificate.not_valid_after_utc

    def test_its_key_is_its_own_and_fits(self, authority):
        folder = authority.device("d-01", NOW)
        key = load_pem_private_key((folder / "device.key").read_bytes(), None)
        assert isinstance(key.curve, ec.SECP256R1)
        assert key.public_key() == certificate(folder / "device.pem").public_key()
        assert (folder / "device.key").stat().st_mode & 0o777 == 0o600
        assert (folder / "ca.pem").read_bytes() == (authority.folder / "ca.pem").read_bytes()

    @pytest.mark.parametrize(
        "name",
        ["", "-d", "D1", "d_1", "a" * 33, "d/1", "+", "#", "d 1", "é", "d-01\n", "../d", "٣"],
    )
    def test_a_bad_id_is_refused(self, authority, name):
        before = state(authority.folder)
        with pytest.raises(ConfigurationError, match="no device id"):
            authority.device(name, NOW)
        assert state(authority.folder) == before

    @pytest.mark.parametrize("name", ["gateway", "broker"])
    def test_a_name_with_other_rights_is_refused(self, authority, name):
        with pytest.raises(ConfigurationError, match="kept for the"):
            authority.device(name, NOW)

    def test_a_second_one_needs_renew(self, authority):
        first = certificate(authority.device("d-01", NOW) / "device.pem")
        with pytest.raises(ConfigurationError, match="--renew"):
            authority.device("d-01", NOW)
        second = certificate(authority.device("d-01", NOW, renew=True) / "device.pem")
        assert first.serial_number != second.serial_number
        assert len(authority.register.of(Kind.DEVICE, "d-01")) == 2

    def test_after_it_ran_out_or_was_revoked_none_is_needed(self, authority):
        authority.device("d-01", NOW)
        authority.device("d-01", NOW + 398 * DAY)
        authority.device("d-02", NOW)
        authority.revoke("d-02", NOW)
        authority.device("d-02", NOW)


class TestBroker:
    def test_its_certificate_is_for_a_server_and_carries_its_names(self, authority):
        folder = authority.broker(["mqtt.example", "192.0.2.7", "2001:db8::1"], NOW)
        one = certificate(folder / "broker.pem")
        assert list(extension(one, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.SERVER_AUTH]
        names = extension(one, x509.SubjectAlternativeName)
        assert names.get_values_for_type(x509.DNSName) == ["mqtt.example"]
        addresses = [ip_address("192.0.2.7"), ip_address("2001:db8::1")]
        assert names.get_values_for_type(x509.IPAddress) == addresses

    def test_a_long_name_is_whole_in_the_alternatives(self, authority):
        name = f"{'a' * 60}.{'b' * 60}.example"
        one = certificate(authority.broker([name], NOW) / "broker.pem")
        common = one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        assert name.startswith(common)
        alternatives = extension(one, x509.SubjectAlternativeName)
        assert alternatives.get_values_for_type(x509.DNSName) == [name]

    @pytest.mark.parametrize("name", ["", "a b", "*.example", "host:8883", "-a", "a..b", "/etc"])
    def test_what_is_no_name_is_refused(self, authority, name):
        with pytest.raises(ConfigurationError, match="neither a host name nor an address"):
            authority.broker([name], NOW)

    def test_a_device_may_be_called_as_its_broker(self, authority):
        authority.broker(["d-01"], NOW)
        authority.device("d-01", NOW)
        assert authority.revoke("d-01", NOW) == 1
        assert authority.register.of(Kind.BROKER, "d-01")[0].revoked is None


class TestRevocation:
    def test_the_list_holds_every_certificate_of_the_device(self, authority):
        first = certificate(authority.device("d-01", NOW) / "device.pem")
        second = certificate(authority.device("d-01", NOW, renew=True) / "device.pem")
        other = certificate(authority.device("d-02", NOW) / "device.pem")
        assert authority.revoke("d-01", NOW) == 2
        revocations = authority.read_list()
        assert revocations.is_signature_valid(authority.certificate.public_key())
        for one, inside in ((first, True), (second, True), (other, False)):
            found = revocations.get_revoked_certificate_by_serial_number(one.serial_number)
            assert (found is not None) is inside

    def test_the_list_grows_a_number_and_runs_out(self, authority):
        first = authority.read_list()
        assert authority.renew_list(NOW + DAY, 10) == NOW + 11 * DAY
        second = authority.read_list()
        assert second.next_update_utc == NOW + 11 * DAY
        numbers = [extension(one, x509.CRLNumber).crl_number for one in (first, second)]
        assert numbers == [1, 2]

    def test_who_is_unknown_is_said(self, authority):
        with pytest.raises(ConfigurationError, match="pki list"):
            authority.revoke("d-09", NOW)

    def test_gateways_too(self, authority):
        authority.gateway(NOW)
        assert authority.revoke("gateway", NOW) == 1

    def test_openssl_agrees(self, authority):
        folders = [authority.device(name, NOW) for name in ("d-01", "d-02")]
        authority.revoke("d-02", NOW)
        command = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-crl_check"]
        files = ["-CAfile", authority.folder / "ca.pem", "-CRLfile", authority.folder / "crl.pem"]
        command += ["-attime", str(int((NOW + DAY).timestamp()))]
        first, second = (
            subprocess.run(
                [*command, *files, folder / "device.pem"],
                capture_output=True,
                text=True,
                check=False,
            )
            for folder in folders
        )
        assert first.returncode == 0, first.stderr
        assert "certificate revoked" in second.stderr


class TestAccidents:
    def test_a_damaged_register_stops_everything(self, authority):
        register = authority.folder / "register.json"
        whole = register.read_bytes()
        for damaged in (
            b"",
            b"{}}",
            whole[: len(whole) // 2],
            b'{"certificates": [{"serial": 1}]}',
        ):
            register.write_bytes(damaged)
            with pytest.raises(StorageError, match="damaged"):
                authority.device("d-01", NOW)
        register.unlink()
        with pytest.raises(StorageError, match="cannot be read"):
            authority.revoke("d-01", NOW)
        assert not (authority.folder / "devices").exists()

    def test_the_register_knows_a_certificate_before_it_is_there(self, authority, monkeypatch):
        def cut(*_args):
            raise KeyboardInterrupt

        monkeypatch.setattr(folder_module, "write_atomically", cut)
        with pytest.raises(KeyboardInterrupt):
            authority.device("d-01", NOW)
        monkeypatch.undo()
        assert len(authority.register.of(Kind.DEVICE, "d-01")) == 1
        assert not (authority.folder / "devices/d-01").exists()
        folder = authority.device("d-01", NOW, renew=True)
        assert sorted(p.name for p in folder.iterdir()) == ["ca.pem", "device.key", "device.pem"]
        assert [p.name for p in folder.parent.iterdir()] == ["d-01"]

    @pytest.mark.parametrize("moment", range(3))
    def test_whenever_it_is_cut_a_renewal_leaves_a_pair_that_fits(
        self, authority, monkeypatch, moment
    ):
        folder = authority.device("d-01", NOW)
        real, count = folder_module.write_atomically, iter(range(9))

        def cut(path, data, mode):
            if next(count) == moment:
                raise StorageError("No space left on device")
            real(path, data, mode)

        monkeypatch.setattr(folder_module, "write_atomically", cut)
        with pytest.raises(StorageError, match="No space"):
            authority.device("d-01", NOW, renew=True)
        key = load_pem_private_key((folder / "device.key").read_bytes(), None)
        assert key.public_key() == certificate(folder / "device.pem").public_key()
        assert [p.name for p in folder.parent.iterdir()] == ["d-01"]

    def test_a_revocation_that_was_cut_is_seen_and_finished(self, authority, monkeypatch):
        authority.device("d-01", NOW)
        authority.gateway(NOW)

        def cut(*_args):
            raise KeyboardInterrupt

        monkeypatch.setattr(Authority, "_write_list", cut)
        with pytest.raises(KeyboardInterrupt):
            authority.revoke("d-01", NOW)
        monkeypatch.undo()
        assert any("lacks a revoked certificate" in line for line in warnings(authority, NOW))
        authority.renew_list(NOW)
        assert warnings(authority, NOW) == []

    def test_a_file_in_the_way_of_the_folder_is_said(self, scratch):
        (scratch / "file").write_text("")
        with pytest.raises(StorageError, match="--out"):
            Authority.create(scratch / "file/pki", NOW)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_that_may_not_be_written_is_said(self, authority):
        authority.folder.chmod(0o500)
        try:
            with pytest.raises(StorageError, match="cannot be written"):
                authority.device("d-01", NOW)
        finally:
            authority.folder.chmod(0o700)

    def test_a_full_disk_is_said_and_nothing_is_signed(self, authority, monkeypatch):
        def full(*_args):
            raise OSError(28, "No space left on device")

        before = state(authority.folder)
        monkeypatch.setattr("device.files.os.fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            authority.device("d-01", NOW)
        monkeypatch.undo()
        assert state(authority.folder) == before


class TestWarnings:
    def test_a_fresh_authority_has_none(self, authority):
        authority.device("d-01", NOW)
        assert warnings(authority, NOW) == []

    def test_what_runs_out_soon_is_named_with_its_command(self, authority):
        authority.device("d-01", NOW, 59)
        authority.device("d-02", NOW, 61)
        authority.broker(["mqtt.example"], NOW, 10)
        device, broker = warnings(authority, NOW)
        assert "runs out on 2027-04-29: `pki device d-01 --renew`" in device
        assert "`pki broker --name mqtt.example --renew`" in broker
        assert "ran out" in warnings(authority, NOW + 59 * DAY)[0]

    def test_what_was_renewed_or_revoked_is_quiet(self, authority):
        authority.device("d-01", NOW, 10)
        authority.device("d-01", NOW, renew=True)
        authority.device("d-02", NOW, 10)
        authority.revoke("d-02", NOW)
        assert warnings(authority, NOW) == []

    def test_the_list_and_the_authority_too(self, authority):
        assert "refuses everybody" in warnings(authority, NOW + 340 * DAY)[0]
        assert "authority runs out" in warnings(authority, NOW + 3300 * DAY)[-1]

    def test_a_damaged_list_is_said(self, authority):
        (authority.folder / "crl.pem").write_text("nothing")
        assert "pki crl" in warnings(authority, NOW)[0]


class TestCommand:
    def run(self, folder, *arguments):
        return main(["pki", *arguments, "--dir", str(folder)])

    def test_a_site_from_nothing(self, scratch, capsys):
        folder = scratch / "pki"
        assert main(["pki", "init", "--out", str(folder)]) == 0
        assert self.run(folder, "broker", "--name", "mqtt.example", "192.0.2.7") == 0
        assert self.run(folder, "device", "d-01", "--days", "30") == 0
        assert self.run(folder, "gateway") == 0
        assert self.run(folder, "list") == 1  # d-01 runs out soon
        assert self.run(folder, "revoke", "d-01") == 0
        assert self.run(folder, "crl") == 0
        assert self.run(folder, "list") == 0
        out = capsys.readouterr().out
        for text in (
            "SOON  The certificate of the device",
            "revoked 20",
            "mqtt.example",
            "gateway",
        ):
            assert text in out

    def test_errors_are_sentences(self, scratch, capsys):
        assert self.run(scratch, "device", "d-01") == StorageError.exit_code
        assert "pki init" in capsys.readouterr().err
        main(["pki", "init", "--out", str(scratch / "pki")])
        assert self.run(scratch / "pki", "device", "D1") == ConfigurationError.exit_code
        assert "Traceback" not in capsys.readouterr().err

    @pytest.mark.parametrize("days", ["0", "-1", "x", "99999999", "1.5"])
    def test_days_that_make_no_sense_are_refused(self, scratch, days):
        with pytest.raises(SystemExit):
            main(["pki", "init", "--out", str(scratch / "pki"), f"--days={days}"])
        assert not (scratch / "pki").exists()


def test_the_register_is_json_that_a_person_can_read(authority):
    authority.device("d-01", NOW)
    stored = msgspec.json.decode((authority.folder / "register.json").read_bytes())
    assert stored["certificates"][0] | {"serial": ""} == {
        "serial": "",
        "kind": "device",
        "name": "d-01",
        "since": "2027-02-28T12:00:00Z",
        "until": "2028-04-01T12:00:00Z",
        "revoked": None,
    }

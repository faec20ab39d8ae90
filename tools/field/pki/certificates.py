"""What stands in a certificate and in the revocation list (RFC 5280). No files, no clock."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.field.pki.register import Issued

# P-256 and not Ed25519: Mosquitto 2.0.11 with OpenSSL 3.0 and paho take both with TLS 1.3, but TPMs
# and secure elements, which may hold a device's key later, and many MQTT clients only have P-256.
Key = ec.EllipticCurvePrivateKey

BACKDATED = timedelta(days=1)
"""Certificates begin this long ago: the clocks of laptop, broker and device differ."""

_COMMON_NAME_LENGTH = 64  # the most that X.520 allows


@dataclass(frozen=True, slots=True)
class Signer:
    """The authority's certificate and its private key."""

    certificate: x509.Certificate
    key: Key


def new_key() -> Key:
    """Return a new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def authority(key: Key, days: int, now: datetime) -> x509.Certificate:
    """Return the authority's own certificate; it may sign certificates, but no other authority.

    Its name is random: no place, no customer, and no two authorities with one name.
    """
    name = _name(f"Passerby authority {secrets.token_hex(4)}")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    return (
        _builder(name, name, key.public_key(), now - BACKDATED, now + timedelta(days=days))
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def client(signer: Signer, key: Key, issued: Issued) -> bytes:
    """Return the certificate, PEM, of a device or gateway; its name is the broker's user name."""
    return _signed(_leaf(signer, key, issued), signer, ExtendedKeyUsageOID.CLIENT_AUTH)


def server(signer: Signer, key: Key, issued: Issued, names: list[str]) -> bytes:
    """Return the certificate, PEM, of a broker that is reached under `names` (hosts, addresses)."""
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
    builder = _leaf(signer, key, issued).add_extension(alternatives, critical=False)
    # Without clientAuth: a broker's certificate, whatever its name, opens nothing as a client.
    return _signed(builder, signer, ExtendedKeyUsageOID.SERVER_AUTH)


def revocation_list(
    signer: Signer,
    revoked: Iterable[tuple[int, datetime]],
    number: int,
    until: datetime,
    now: datetime,
) -> bytes:
    """Return the list, PEM. revoked: serial numbers and when; number: grows with every list."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(now - BACKDATED)
        .next_update(until)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_issuer_id(signer), critical=False)
    )
    for serial, since in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def key_pem(key: Key) -> bytes:
    """Return a private key as PEM, without a passphrase: nobody is there to type one at a boot."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    since: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _leaf(signer: Signer, key: Key, issued: Issued) -> x509.CertificateBuilder:
    public = key.public_key()
    subject = _name(issued.name[:_COMMON_NAME_LENGTH])
    return (
        _builder(subject, signer.certificate.subject, public, issued.since, issued.until)
        .serial_number(int(issued.serial, 16))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(_issuer_id(signer), critical=False)
    )


def _signed(
    builder: x509.CertificateBuilder, signer: Signer, purpose: x509.ObjectIdentifier
) -> bytes:
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return certificate_pem(builder.sign(signer.key, hashes.SHA256()))


def _issuer_id(signer: Signer) -> x509.AuthorityKeyIdentifier:
    extensions = signer.certificate.extensions
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )

"""Certificates for the small web, good and faulty, made at start and thrown away at stop.

One root authority signs an intermediate one, which signs the servers. A client that trusts the
root (`authority`) finds exactly one fault per kind. Validity counts from the real clock,
because TLS libraries ask no other.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from archiver.records import record


class Certificate(StrEnum):
    """What is right or wrong with a server's certificate (reference checking §5.1, 16–19)."""

    GOOD = "good"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    WRONG_NAME = "wrong name"
    SELF_SIGNED = "self-signed"
    INCOMPLETE_CHAIN = "incomplete chain"


@record
class _Signer:
    """An authority, or a certificate that signs itself."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_contexts(
    folder: Path, names: Mapping[Certificate, Sequence[str]]
) -> dict[Certificate, ssl.SSLContext]:
    """Make a server context per kind for the host names that use it.

    Writes `authority.pem`, the root to trust, and the keys into `folder`.
    """
    root = _authority("Small Web Root", None)
    middle = _authority("Small Web Intermediate", root)
    (folder / "authority.pem").write_bytes(_pem(root.certificate))
    contexts = {}
    for kind, hosts in names.items():
        leaf = _server(kind, hosts, middle)
        chain = _pem(leaf.certificate)
        if kind not in (Certificate.INCOMPLETE_CHAIN, Certificate.SELF_SIGNED):
            chain += _pem(middle.certificate)
        path = folder / f"{kind.value.replace(' ', '-')}.pem"
        path.touch(mode=0o600)
        path.write_bytes(_pem_key(leaf.key) + chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        contexts[kind] = context
    return contexts


def _authority(name: str, signer: _Signer | None) -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    now = datetime.now(UTC)
    builder = _builder(subject, signer, key, now - timedelta(days=1), now + timedelta(days=60))
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return _Signer(builder.sign((signer.key if signer else key), hashes.SHA256()), key)


def _server(kind: Certificate, hosts: Sequence[str], middle: _Signer) -> _Signer:
    now = datetime.now(UTC)
    first, last = {
        Certificate.EXPIRED: (-90, -30),
        Certificate.NOT_YET_VALID: (30, 90),
    }.get(kind, (-1, 60))
    key = ec.generate_private_key(ec.SECP256R1())
    names = ["somebody-else.example"] if kind is Certificate.WRONG_NAME else list(hosts)
    signer = None if kind is Certificate.SELF_SIGNED else middle
    builder = _builder(
        _name(names[0]), signer, key, now + timedelta(days=first), now + timedelta(days=last)
    )
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
    )
    builder = builder.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
    )
    return _Signer(builder.sign(signer.key if signer else key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    signer: _Signer | None,
    key: ec.EllipticCurvePrivateKey,
    first: datetime,
    last: datetime,
) -> x509.CertificateBuilder:
    issuer = signer.certificate.subject if signer else subject
    issuer_key = signer.key if signer else key
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

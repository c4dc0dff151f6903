# SPDX-License-Identifier: Apache-2.0
"""The cluster's own certificate authority and what it signs.

Without a CA of the cluster's own, `kube-root-ca.crt` stays empty and no pod can verify the API server. Elliptic-curve
keys: made in a millisecond. Leaves are renewed when `up` finds less than 30 days left.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from island_hopper_cli.dev.files import write_file
from island_hopper_cli.dev.paths import ClusterPaths

AUTHORITY_LIFE = datetime.timedelta(days=3650)
LEAF_LIFE = datetime.timedelta(days=397)
RENEW_BELOW = datetime.timedelta(days=30)
SERVICE_ADDRESS = "10.96.0.1"
SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
SERVER_ADDRESSES = ("127.0.0.1", SERVICE_ADDRESS)


@dataclass(frozen=True)
class KeyPair:
    """Two PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Pki:
    """Everything that the control plane and the node verify and sign with."""

    authority: KeyPair
    server: KeyPair
    """Serves the API, the controller manager's and scheduler's health, and the node's logs: all of them 127.0.0.1."""
    kubelet_client: KeyPair
    """With it the API server asks the node for logs."""
    service_accounts: Path
    """Private key that signs service account tokens."""


def pki_paths(paths: ClusterPaths) -> Pki:
    def pair(name: str) -> KeyPair:
        return KeyPair(paths.pki / f"{name}.crt", paths.pki / f"{name}.key")

    return Pki(pair("ca"), pair("server"), pair("kubelet-client"), paths.pki / "service-accounts.key")


def ensure_pki(paths: ClusterPaths, now: datetime.datetime) -> Pki:
    """Make what is missing or about to expire; what is good stays, byte for byte."""
    pki = pki_paths(paths)
    if not _is_good(pki.authority, now):
        _write_pair(pki.authority, *_authority(now))
        for leaf in (pki.server, pki.kubelet_client):
            leaf.certificate.unlink(missing_ok=True)
    if not pki.service_accounts.is_file():
        write_file(pki.service_accounts, _pem(ec.generate_private_key(ec.SECP256R1())))
    if not _is_good(pki.server, now):
        _write_pair(pki.server, *_server(pki.authority, now))
    if not _is_good(pki.kubelet_client, now):
        _write_pair(pki.kubelet_client, *_kubelet_client(pki.authority, now))
    return pki


def _is_good(pair: KeyPair, now: datetime.datetime) -> bool:
    if not (pair.certificate.is_file() and pair.key.is_file()):
        return False
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    except ValueError:
        return False
    return now + RENEW_BELOW < certificate.not_valid_after_utc


def _authority(now: datetime.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("island-hopper-dev")
    builder = _builder(name, name, key, now, AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _server(authority: KeyPair, now: datetime.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in SERVER_NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in SERVER_ADDRESSES]
    return _leaf(authority, _name("kube-apiserver"), now, [ExtendedKeyUsageOID.SERVER_AUTH], names)


def _kubelet_client(authority: KeyPair, now: datetime.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    subject = _name("kube-apiserver-kubelet-client", organization="island-hopper:kubelet-clients")
    return _leaf(authority, subject, now, [ExtendedKeyUsageOID.CLIENT_AUTH], [])


def _leaf(
    authority: KeyPair,
    subject: x509.Name,
    now: datetime.datetime,
    usages: Sequence[x509.ObjectIdentifier],
    names: Sequence[x509.GeneralName],
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    issuer_key = serialization.load_pem_private_key(authority.key.read_bytes(), password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{authority.key} holds another kind of key than we write")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(subject, issuer.subject, key, now, LEAF_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()), key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A little in the past: clocks of virtual machines jump.
        .not_valid_before(now - datetime.timedelta(minutes=10))
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_pair(pair: KeyPair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    write_file(pair.key, _pem(key))
    write_file(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # Kubernetes derives the public keys of service accounts from this file, and only from the older of the two formats.
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )

# SPDX-License-Identifier: Apache-2.0
"""The certificate that the kubelet API is served with: found, or made.

Signed by the cluster's CA where its key is given, so that the API server can verify it
(`--kubelet-certificate-authority`), else by itself. One in the state folder is made again when it is near its end or
no longer fits; files that the configuration names are made when they are missing and never replaced.
"""

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from island_hopper_cli.node.config import NodeConfig
from island_hopper_cli.node.errors import ConfigInvalid
from island_hopper_cli.node.kube.registration import HOST_ADDRESS

LIFE = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=30)
CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class ServingFiles:
    """A certificate and its key, in PEM."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class _Authority:
    cert: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes


def serving_files(config: NodeConfig, now: datetime.datetime) -> ServingFiles:
    """Raises ConfigInvalid when a named file cannot be read or written."""
    named = config.kubelet.cert_file is not None
    files = ServingFiles(
        config.kubelet.cert_file or config.state_dir / "kubelet.crt",
        config.kubelet.key_file or config.state_dir / "kubelet.key",
    )
    try:
        authority = _authority(config)
        if files.cert.exists() and files.key.exists() and (named or _fits(files.cert, config, authority, now)):
            return files
        _make(files, config, authority, now)
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"kubelet: cannot make or use {files.cert}: {error}") from error
    return files


def _authority(config: NodeConfig) -> _Authority | None:
    if config.kubelet.ca_file is None or config.kubelet.ca_key_file is None:
        return None
    cert = x509.load_pem_x509_certificate(config.kubelet.ca_file.read_bytes())
    key = serialization.load_pem_private_key(config.kubelet.ca_key_file.read_bytes(), password=None)
    return _Authority(cert, cast(CertificateIssuerPrivateKeyTypes, key))


def _fits(path: Path, config: NodeConfig, authority: _Authority | None, now: datetime.datetime) -> bool:
    cert = x509.load_pem_x509_certificate(path.read_bytes())
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if now > cert.not_valid_after_utc - RENEW_BEFORE or config.node_name not in names.get_values_for_type(x509.DNSName):
        return False
    try:
        cert.verify_directly_issued_by(cert if authority is None else authority.cert)
    except (InvalidSignature, ValueError):
        return False
    return True


def _make(files: ServingFiles, config: NodeConfig, authority: _Authority | None, now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # The names that kubelet's own serving certificates carry.
    subject = _name(f"system:node:{config.node_name}", "system:nodes")
    alternatives = [x509.DNSName(config.node_name), x509.IPAddress(ipaddress.ip_address(HOST_ADDRESS))]
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if authority is None else authority.cert.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key if authority is None else authority.key, hashes.SHA256())
    )
    _write(files.key, _pem_of_key(key))
    _write(files.cert, cert.public_bytes(serialization.Encoding.PEM))


def _name(common: str, organization: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)

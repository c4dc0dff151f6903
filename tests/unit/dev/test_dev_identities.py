# SPDX-License-Identifier: Apache-2.0
"""Certificates, bus accounts and credentials: made once, good, and never weaker than they look."""

import base64
import datetime
import json
from pathlib import Path
from typing import Any

import nkeys
import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from island_hopper_cli.dev.credentials import Credentials
from island_hopper_cli.dev.kubeconfig import write_kubeconfig
from island_hopper_cli.dev.nats_accounts import BusAccounts, encode_jwt, public_key, user_credentials
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.pki import ensure_pki

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def paths(tmp_path: Path) -> ClusterPaths:
    return ClusterPaths(tmp_path)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_authority_signs_server_and_kubelet_client(paths: ClusterPaths) -> None:
    pki = ensure_pki(paths, NOW)
    authority = certificate(pki.authority.certificate)
    for pair, usage in (
        (pki.server, ExtendedKeyUsageOID.SERVER_AUTH),
        (pki.kubelet_client, ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        leaf = certificate(pair.certificate)
        leaf.verify_directly_issued_by(authority)
        assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]


def test_the_server_is_known_by_loopback_and_by_the_names_pods_use(paths: ClusterPaths) -> None:
    leaf = certificate(ensure_pki(paths, NOW).server.certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "10.96.0.1"}
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)


def test_good_certificates_stay_byte_for_byte(paths: ClusterPaths) -> None:
    ensure_pki(paths, NOW)
    before = {path: path.read_bytes() for path in paths.pki.iterdir()}
    ensure_pki(paths, NOW + datetime.timedelta(days=300))
    assert {path: path.read_bytes() for path in paths.pki.iterdir()} == before


def test_a_leaf_near_its_end_is_renewed_under_the_same_authority(paths: ClusterPaths) -> None:
    first = certificate(ensure_pki(paths, NOW).server.certificate)
    pki = ensure_pki(paths, NOW + datetime.timedelta(days=380))
    renewed = certificate(pki.server.certificate)
    assert renewed.serial_number != first.serial_number
    renewed.verify_directly_issued_by(certificate(pki.authority.certificate))


def test_a_damaged_authority_is_made_anew_with_all_that_it_signed(paths: ClusterPaths) -> None:
    pki = ensure_pki(paths, NOW)
    pki.authority.certificate.write_text("half a file")
    ensure_pki(paths, NOW)
    certificate(pki.server.certificate).verify_directly_issued_by(certificate(pki.authority.certificate))


def test_keys_are_private(paths: ClusterPaths) -> None:
    ensure_pki(paths, NOW)
    Credentials.ensure(paths)
    BusAccounts.ensure(paths)
    files = [*paths.pki.iterdir(), *paths.secrets.iterdir()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_credentials_are_made_once_and_what_is_new_is_added(paths: ClusterPaths) -> None:
    first = Credentials.ensure(paths)
    assert Credentials.ensure(paths) == first
    file = paths.secrets / "credentials.json"
    older = json.loads(file.read_text())
    del older["node_token"]
    file.write_text(json.dumps({**older, "forgotten": "x"}))
    second = Credentials.ensure(paths)
    assert second.postgres_password == first.postgres_password
    assert second.node_token not in ("", first.node_token)


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


def test_bus_accounts_are_made_once(paths: ClusterPaths) -> None:
    assert BusAccounts.ensure(paths) == BusAccounts.ensure(paths)


def test_the_agents_account_has_jetstream_and_names_its_signing_key() -> None:
    accounts = BusAccounts.generate()
    account = claims(accounts.agents_jwt)
    assert account["sub"] == accounts.agents_account
    assert account["iss"] == public_key(accounts.operator_seed)
    assert account["nats"]["signing_keys"] == [public_key(accounts.agents_signing_seed)]
    assert account["nats"]["limits"]["disk_storage"] == -1
    assert claims(accounts.operator_jwt)["nats"]["system_account"] == accounts.system_account


def test_a_user_of_a_signing_key_names_the_account_and_one_of_the_account_does_not() -> None:
    accounts = BusAccounts.generate()
    by_signing_key = user_credentials(accounts.agents_signing_seed, accounts.agents_account, "one").splitlines()[1]
    by_account = user_credentials(accounts.agents_seed, accounts.agents_account, "one").splitlines()[1]
    assert claims(by_signing_key)["nats"]["issuer_account"] == accounts.agents_account
    assert "issuer_account" not in claims(by_account)["nats"]


def test_a_jwt_verifies_with_its_signer() -> None:
    accounts = BusAccounts.generate()
    token = encode_jwt(accounts.operator_seed, accounts.agents_account, "n", {"type": "account"})
    signed, _, signature = token.rpartition(".")
    key = nkeys.from_seed(accounts.operator_seed.encode())
    assert key.verify(signed.encode(), base64.urlsafe_b64decode(signature + "=="))


def test_a_kubeconfig_stands_by_itself(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("the authority")
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, server="https://127.0.0.1:1", authority=tmp_path / "ca.crt", user="admin", token="t")
    config = yaml.safe_load(path.read_text())
    cluster = config["clusters"][0]["cluster"]
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"the authority"
    assert path.stat().st_mode & 0o777 == 0o600

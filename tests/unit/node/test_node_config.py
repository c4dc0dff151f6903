# SPDX-License-Identifier: Apache-2.0
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network

import pytest
from cryptography import x509

from island_hopper_cli.node.addresses import AddressPool, PoolExhausted
from island_hopper_cli.node.config import ApiConfig, ImageConfig, NodeConfig
from island_hopper_cli.node.errors import ConfigInvalid
from island_hopper_cli.node.kube.access import ApiAccess
from island_hopper_cli.node.pulse import Pulse
from island_hopper_cli.node.serve.tls import serving_files
from island_hopper_cli.node.timestamps import parse_time, rfc3339, rfc3339_micro

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
MINIMAL = "nodeName: dev\nstateDir: /state\napi: {kubeconfig: /kubeconfig}\n"


def test_a_saved_configuration_is_the_one_that_is_loaded(tmp_path):
    config = NodeConfig(
        node_name="dev",
        state_dir=tmp_path,
        api=ApiConfig(kubeconfig=tmp_path / "kubeconfig"),
        images={"agent": ImageConfig(argv=["python"], env={"A": "1"})},
    )
    config.save(tmp_path / "node.yaml")
    assert NodeConfig.load(tmp_path / "node.yaml") == config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("nodeName: dev", "stateDir: Field required", id="missing"),
        pytest.param(f"{MINIMAL}nodename: x", "nodename: Extra inputs", id="misspelt"),
        pytest.param(f"{MINIMAL}podNetwork: 10.0.0.0/16", "no part of 127.0.0.0/8", id="network"),
        pytest.param(f"{MINIMAL}podNetwork: 127.42.0.0/24", "has 254 addresses", id="too-few-addresses"),
        pytest.param(
            "nodeName: dev\nstateDir: /s\napi: {server: https://x}", "all of server, caFile", id="half-an-api"
        ),
        pytest.param(f"{MINIMAL}kubelet: {{certFile: /x}}", "go together", id="half-a-certificate"),
        pytest.param("a: [", "is not YAML", id="no-yaml"),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_place(tmp_path, text, words):
    (tmp_path / "node.yaml").write_text(text)
    with pytest.raises(ConfigInvalid, match=words):
        NodeConfig.load(tmp_path / "node.yaml")


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(ConfigInvalid, match="cannot read"):
        NodeConfig.load(tmp_path / "absent.yaml")


def test_a_server_without_tls_is_refused(tmp_path):
    kubeconfig = """
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
"""
    (tmp_path / "kubeconfig").write_text(kubeconfig)
    with pytest.raises(ConfigInvalid, match="must be an https:// address"):
        ApiAccess.of(ApiConfig(kubeconfig=tmp_path / "kubeconfig"))


def test_an_access_shows_no_secret():
    access = ApiAccess("https://127.0.0.1:6443", ssl.create_default_context(), "s3cret")
    assert "s3cret" not in repr(access)
    assert (access.host, access.port) == ("127.0.0.1", 6443)


def config(tmp_path, name="dev"):
    return NodeConfig(node_name=name, state_dir=tmp_path, api=ApiConfig(kubeconfig=tmp_path / "kubeconfig"))


def test_a_certificate_is_made_once_and_again_when_it_does_not_fit(tmp_path):
    files = serving_files(config(tmp_path), NOW)
    first = files.cert.read_bytes()
    assert files.key.stat().st_mode & 0o777 == 0o600
    assert serving_files(config(tmp_path), NOW).cert.read_bytes() == first
    assert serving_files(config(tmp_path), NOW + timedelta(days=360)).cert.read_bytes() != first
    renamed = serving_files(config(tmp_path, "other"), NOW).cert.read_bytes()
    names = x509.load_pem_x509_certificate(renamed).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["other"]


def test_each_pod_has_an_address_of_its_own_and_keeps_it():
    pool = AddressPool(IPv4Network("127.42.0.0/29"))
    assert pool.take("a", "127.42.0.5") == "127.42.0.5"
    assert [pool.take(uid) for uid in ("b", "c", "b")] == ["127.42.0.1", "127.42.0.2", "127.42.0.1"]
    assert pool.take("d", "127.42.0.5") != "127.42.0.5"
    assert pool.take("e", "10.0.0.1").startswith("127.42.0.")


def test_an_address_given_back_rests_before_it_is_given_again():
    pool = AddressPool(IPv4Network("127.42.0.0/29"))
    first = pool.take("a")
    pool.release("a")
    assert pool.take("b") != first


def test_a_pool_that_is_empty_says_what_to_do():
    pool = AddressPool(IPv4Network("127.42.0.0/29"))
    for number in range(6):
        pool.take(str(number))
    with pytest.raises(PoolExhausted, match="larger podNetwork"):
        pool.take("one-too-many")


async def test_a_pulse_is_not_missed_between_looking_and_waiting():
    pulse = Pulse()
    seen = pulse.count
    pulse.ring()
    assert await pulse.after(seen) is True
    assert await pulse.after(pulse.count, timeout_s=0.01) is False


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000001Z", "2026-01-31T14:00:00+02:00"]
)
def test_times_are_read_in_every_spelling(text):
    assert parse_time(text) == NOW


def test_times_are_written_as_kubernetes_wants_them():
    assert rfc3339(NOW) == "2026-01-31T12:00:00Z"
    assert rfc3339_micro(NOW) == "2026-01-31T12:00:00.000000Z"

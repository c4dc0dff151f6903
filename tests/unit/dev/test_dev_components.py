# SPDX-License-Identifier: Apache-2.0
"""Launches: same context, same launch; loopback only; and no secret among the arguments."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from island_hopper_cli.dev.components import BY_NAME, Context, Launch, users_of, with_needs
from island_hopper_cli.dev.components.kubernetes import write_shared_files
from island_hopper_cli.dev.credentials import Credentials
from island_hopper_cli.dev.nats_accounts import BusAccounts
from island_hopper_cli.dev.paths import ClusterPaths

# PostgreSQL's preparation runs initdb: the component tier has it.
PURE = [name for name in BY_NAME if name != "postgres"]


@pytest.fixture
def context(tmp_path: Path) -> Context:
    wishes = [wish for component in BY_NAME.values() for wish in component.ports]
    ports = {wish.name: 20000 + number for number, wish in enumerate(wishes)}
    made = Context(ClusterPaths(tmp_path), Path("/programs"), ports, Credentials.generate())
    write_shared_files(made)
    return made


@pytest.mark.parametrize("name", PURE)
def test_the_same_context_gives_the_same_launch(context: Context, name: str) -> None:
    first, second = (BY_NAME[name].prepare(context).digest() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", PURE)
def test_another_port_gives_another_launch(context: Context, name: str) -> None:
    moved = replace(context, ports={port: number + 1000 for port, number in context.ports.items()})
    assert BY_NAME[name].prepare(context).digest() != BY_NAME[name].prepare(moved).digest()


@pytest.mark.parametrize("name", PURE)
def test_no_secret_stands_among_the_arguments(context: Context, name: str) -> None:
    accounts = BusAccounts.ensure(context.paths)
    secrets = [*asdict(context.credentials).values(), accounts.agents_seed, accounts.agents_signing_seed]
    line = " ".join(BY_NAME[name].prepare(context).argv)
    assert [secret for secret in secrets if secret in line] == []


@pytest.mark.parametrize("name", PURE)
def test_every_address_is_on_loopback(context: Context, name: str) -> None:
    line = " ".join(BY_NAME[name].prepare(context).argv)
    addresses = set(re.findall(r"\d+\.\d+\.\d+\.\d+", line))
    # Advertised and never listened on, and the range of Services that lead nowhere.
    assert addresses <= {"127.0.0.1", "192.0.2.1", "10.96.0.0"}


def test_a_changed_file_gives_another_launch(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("one")
    launch = Launch(("server",), files=(file,))
    before = launch.digest()
    file.write_text("two")
    assert launch.digest() != before


def test_components_see_little_of_the_persons_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    environment = Launch(("server",), {"OWN": "1"}).environment()
    assert environment["OWN"] == "1"
    assert environment.keys().isdisjoint({"OPENAI_API_KEY", "HTTPS_PROXY"})


def test_endpoint_controllers_are_off(context: Context) -> None:
    flags = BY_NAME["kube-controller-manager"].prepare(context).argv
    controllers = next(flag for flag in flags if flag.startswith("--controllers="))
    assert controllers == (
        "--controllers=*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller"
    )


def test_nats_syncs_before_it_acknowledges(context: Context) -> None:
    BY_NAME["nats"].prepare(context)
    config = json.loads((context.paths.config / "nats.conf").read_text())
    assert config["jetstream"]["sync_interval"] == "always"
    assert config["listen"].startswith("127.0.0.1:")


def test_asking_for_one_component_brings_what_it_needs_in_order() -> None:
    assert [component.name for component in with_needs(["node"])] == ["etcd", "kube-apiserver", "node"]
    assert [component.name for component in with_needs(["nats", "nats"])] == ["nats"]


def test_every_component_comes_after_its_needs() -> None:
    seen: set[str] = set()
    for component in BY_NAME.values():
        assert set(component.needs) <= seen, component.name
        seen.add(component.name)


def test_users_stop_before_what_they_use() -> None:
    running = list(BY_NAME)
    assert users_of("etcd", running) == ["kube-apiserver"]
    assert users_of("postgres", running) == ["node"]
    assert "node" in users_of("kube-apiserver", running)
    assert users_of("postgres", ["postgres", "nats"]) == []


def test_port_names_are_unique() -> None:
    names = [wish.name for component in BY_NAME.values() for wish in component.ports]
    assert len(names) == len(set(names))
    assert all(component.ports[0].name == name for name, component in BY_NAME.items())

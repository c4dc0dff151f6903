# SPDX-License-Identifier: Apache-2.0
"""What the process finds when it starts: its environment, its own Secret, and a reflector that knows when to pause."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest
from fake_kube import Body, FakeKube, Write
from virtual_time import run

from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.kube.errors import Gone, KubeError, Throttled, Unavailable
from island_hopper_operator.kube.reflector import Reflector, Source
from island_hopper_operator.kube.resources import NAMESPACE, SECRET, Resource
from island_hopper_operator.plan.encoding import decode_data, encode_data
from island_hopper_operator.runtime import cluster_secret
from island_hopper_operator.runtime.environment import Environment
from island_hopper_operator.settings import SettingsError

SYSTEM = "island-hopper-system"
NEEDED = {"HOPPER_SETTINGS": "/etc/s.yaml", "POD_NAMESPACE": SYSTEM, "POD_NAME": "operator-0"}


def test_the_environment_is_read_with_defaults_that_suit_a_laptop() -> None:
    found = Environment.read(NEEDED)
    assert (found.settings_file, found.namespace, found.pod) == (Path("/etc/s.yaml"), SYSTEM, "operator-0")
    assert (found.bind, found.port, found.service_account) == ("127.0.0.1", 8081, None)
    more = {"POD_IP": "10.0.0.1", "HOPPER_PORT": "9000", "HOPPER_SERVICE_ACCOUNT_DIR": "/var/sa"}
    found = Environment.read(NEEDED | more)
    assert (found.bind, found.port, found.service_account) == ("10.0.0.1", 9000, Path("/var/sa"))


@pytest.mark.parametrize("name", NEEDED)
def test_a_variable_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Environment.read(NEEDED | {name: ""})


def system() -> FakeKube:
    kube = FakeKube()
    kube.put(NAMESPACE, {"metadata": {"name": SYSTEM}})
    return kube


async def test_the_clusters_id_is_the_uid_of_the_namespace_unless_it_is_set_and_stays() -> None:
    kube = system()
    first = await cluster_secret.load(kube, SYSTEM, "")
    assert first.cluster_id == kube.objects["Namespace", "", SYSTEM]["metadata"]["uid"]
    assert len(first.hash_key) == 64
    assert await cluster_secret.load(kube, SYSTEM, "") == first
    assert await cluster_secret.load(kube, SYSTEM, first.cluster_id) == first
    assert len(kube.journal.did("create")) == 1
    named = await cluster_secret.load(system(), SYSTEM, "east")
    assert named.cluster_id == "east"


async def test_another_cluster_id_than_the_marks_bear_is_refused() -> None:
    kube = system()
    await cluster_secret.load(kube, SYSTEM, "east")
    with pytest.raises(SettingsError, match=r"'west' is not the one .* \('east'"):
        await cluster_secret.load(kube, SYSTEM, "west")


async def test_a_secret_that_lacks_a_part_is_refused_and_not_filled_in() -> None:
    kube = system()
    meta = {"name": cluster_secret.NAME, "namespace": SYSTEM}
    kube.put(SECRET, {"metadata": meta, "data": encode_data({"cluster-id": "east"})})
    with pytest.raises(SettingsError, match="restore it from a backup"):
        await cluster_secret.load(kube, SYSTEM, "")
    assert kube.journal.writes == []


async def test_of_two_replicas_that_start_together_both_have_what_one_made() -> None:
    kube = system()

    def faster(write: Write) -> None:
        kube.journal.calm()
        data = {"cluster-id": "theirs", "hash-key": "k"}
        kube.put(SECRET, {"metadata": {"name": cluster_secret.NAME, "namespace": SYSTEM}, "data": encode_data(data)})

    kube.journal.before = faster
    assert (await cluster_secret.load(kube, SYSTEM, "")).cluster_id == "theirs"
    assert decode_data(kube.objects["Secret", SYSTEM, cluster_secret.NAME])["hash-key"] == "k"


async def test_a_namespace_that_does_not_exist_is_told() -> None:
    with pytest.raises(SettingsError, match="POD_NAMESPACE"):
        await cluster_secret.load(FakeKube(), "none", "")


class Breaking:
    """An API whose watches all end in one way; it keeps when it was asked."""

    def __init__(self, ending: Callable[[], KubeError | None]) -> None:
        self._ending = ending
        self.listed_at: list[float] = []
        self.watched_at: list[float] = []

    async def list_pages(
        self, resource: Resource, selector: str, *, metadata_only: bool
    ) -> AsyncIterator[tuple[list[Body], str]]:
        self.listed_at.append(asyncio.get_running_loop().time())
        yield [], "1"

    async def watch(
        self, resource: Resource, selector: str, resource_version: str, *, metadata_only: bool
    ) -> AsyncIterator[tuple[str, Body]]:
        self.watched_at.append(asyncio.get_running_loop().time())
        if error := self._ending():
            raise error
        return
        yield "", {}


PAUSES = [
    pytest.param(lambda: None, [0], [0, 2, 4], id="a-stream-that-ends-at-once"),
    pytest.param(lambda: Gone(410, "WATCH", "p", "x"), [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], id="always-too-old"),
    pytest.param(lambda: Unavailable(0, "WATCH", "p", "x"), [0, 2, 4], [0, 2, 4], id="no-answer"),
    pytest.param(lambda: Throttled(429, "WATCH", "p", "x", 1.5), [0, 3.5], [0, 3.5], id="retry-after"),
]


@pytest.mark.parametrize(("ending", "listed_at", "watched_at"), PAUSES)
def test_a_reflector_never_asks_as_fast_as_it_is_refused(
    ending: Callable[[], KubeError | None], listed_at: list[float], watched_at: list[float]
) -> None:
    async def main() -> Breaking:
        api = Breaking(ending)
        reflector = Reflector(cast(KubeApi, api), Source(SECRET), lambda *_: None, jitter=lambda low, high: high)
        task = asyncio.create_task(reflector.run())
        await asyncio.sleep(4.5)
        task.cancel()
        return api

    api = run(main())
    assert (api.listed_at, api.watched_at) == (listed_at, watched_at)

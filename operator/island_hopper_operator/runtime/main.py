# SPDX-License-Identifier: Apache-2.0
"""The life of the process: connect, wait for the lease, list, work, and leave quickly when told to."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import aiohttp

from island_hopper_api.bus import REPORT_SUBJECTS
from island_hopper_api.constants import API_VERSION
from island_hopper_api.kinds import KINDS
from island_hopper_operator.engine.controller import resync
from island_hopper_operator.engine.leader import Leader
from island_hopper_operator.engine.store import Key
from island_hopper_operator.errors import OperatorError
from island_hopper_operator.kube.client import KubeClient
from island_hopper_operator.kube.connection import Connection, connect
from island_hopper_operator.kube.errors import KubeError
from island_hopper_operator.kube.reflector import Reflector, place_of
from island_hopper_operator.kube.resources import PRIMARY, SECRET
from island_hopper_operator.plan.encoding import decode_data
from island_hopper_operator.reconcile.cluster import SOURCES
from island_hopper_operator.runtime import cluster_secret, kopf_app, probes, wiring
from island_hopper_operator.runtime.environment import Environment
from island_hopper_operator.runtime.metrics import Metrics
from island_hopper_operator.settings import Settings, SettingsError, load_settings

log = logging.getLogger(__name__)

LEASE_NAME = "island-hopper-operator"

SWEEP_S = 5.0
"""How often pods that fell silent are looked for: a tenth of the silence that counts."""

CRD_WAIT_S = 2.0


@dataclass(frozen=True)
class Process:
    """What lives as long as the process does."""

    environment: Environment
    settings: Settings
    connection: Connection
    metrics: Metrics
    health: probes.Health
    stop: asyncio.Event
    """Set once the process was told to end."""


async def run(environment: Environment, environ: dict[str, str]) -> None:
    """Until signalled.

    Raises:
        SettingsError: The settings cannot be used.
        LeaseLost: Another process took over, or the API server could not be reached for too long.
    """
    settings = load_settings(environment.settings_file)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    connection = await connect(environment.service_account, environ)
    process = Process(environment, settings, connection, Metrics(), probes.Health(), stop)
    runner = await probes.serve(environment.bind, environment.port, process.health, process.metrics.registry)
    try:
        await _until(stop, _lead(process))
    finally:
        await runner.cleanup()
        await connection.session.close()


async def _lead(process: Process) -> None:
    """Wait for the lease, work while it is held, hand it over."""
    client = KubeClient(process.connection)
    leader = Leader(client, process.environment.namespace, LEASE_NAME, process.environment.pod)
    process.metrics.gauge("hopper_leader", "1 while this process holds the lease.", lambda: float(leader.is_held))
    # A standby is as ready as it can be: a rolling update must not wait for a lease that the old pod still holds.
    process.health.is_ready = lambda: not leader.is_held
    async with asyncio.TaskGroup() as group:
        beat = group.create_task(process.health.beat())
        await _crds_served(client)
        await leader.acquire()
        try:
            await _work(process, leader)
        finally:
            beat.cancel()
            await _release(leader)


async def _work(process: Process, leader: Leader) -> None:
    api = KubeClient(process.connection, leader.assert_held)
    namespace = process.environment.namespace
    own = await cluster_secret.load(api, namespace, process.settings.cluster_id)
    account = await _bus_account(api, namespace, process.settings)
    async with aiohttp.ClientSession() as http:
        operator = wiring.build(api, process.environment, process.settings, own, account, http, process.metrics.observe)
        try:
            await _run_operator(process, leader, api, operator)
        finally:
            if operator.bus is not None:
                await operator.bus.close()
            await operator.backends.close()


async def _run_operator(process: Process, leader: Leader, api: KubeClient, operator: wiring.Operator) -> None:
    reflectors = [Reflector(api, source, operator.watched) for source in SOURCES]
    synced = asyncio.Event()
    _show(process, operator, reflectors, synced)
    registry = kopf_app.build_registry(process.connection, operator.put, operator.seen)
    async with asyncio.TaskGroup() as group:
        work: list[Coroutine[Any, Any, None]] = [
            leader.hold(),
            *(reflector.run() for reflector in reflectors),
            _listen(operator),
            _sweep(operator),
            _find_vanished(api, operator, process.settings.resync_s),
            _start(operator, reflectors, synced, process.settings.resync_s),
        ]
        running = [group.create_task(task) for task in work]
        await kopf_app.run(registry, process.stop)
        for task in running:
            task.cancel()


def _show(process: Process, operator: wiring.Operator, reflectors: list[Reflector], synced: asyncio.Event) -> None:
    """Let probes and metrics tell of the work."""
    process.health.is_ready = synced.is_set
    process.health.last_heard = lambda: [each.last_heard for each in reflectors if each.synced.is_set()]
    gauge = process.metrics.gauge
    gauge("hopper_queue_depth", "Keys that are due.", lambda: float(len(operator.controller.queue)))
    gauge("hopper_workers_busy", "Workers in a pass.", lambda: float(operator.controller.busy))
    gauge("hopper_left_behind", "Deletions let go.", lambda: float(operator.recorder.left_behind_total))


async def _listen(operator: wiring.Operator) -> None:
    """Hear the pods' reports. A bus that is away delays nobody: each Agent tells of it for itself."""
    if operator.bus is None:
        return
    await operator.bus.subscribe(REPORT_SUBJECTS, operator.heard)
    try:
        await operator.bus.connect()
    except OperatorError as error:
        log.warning("%s; going on without, and trying again", error)


async def _start(
    operator: wiring.Operator, reflectors: list[Reflector], synced: asyncio.Event, resync_s: float
) -> None:
    """Work begins when the children are known: a pass that does not know them would only repeat what is there."""
    for reflector in reflectors:
        await reflector.synced.wait()
    synced.set()
    log.info("listed; working")
    async with asyncio.TaskGroup() as group:
        group.create_task(operator.controller.run())
        group.create_task(resync(lambda: _all_keys(operator), operator.controller.queue, resync_s))


def _all_keys(operator: wiring.Operator) -> list[Key]:
    namespaces = [Key("Namespace", "", name) for name in operator.cluster.cli_namespaces]
    return [*(operator.store.keys() if operator.is_listed else ()), *namespaces]


async def _sweep(operator: wiring.Operator) -> None:
    """Wake Agents of which a pod fell silent."""
    since = time.monotonic()
    while True:
        await asyncio.sleep(SWEEP_S)
        now = time.monotonic()
        for agent in list(operator.reports.turned_stale(since, now)):
            operator.wake_agent(Key("Agent", agent.namespace, agent.name))
        since = now


async def _find_vanished(api: KubeClient, operator: wiring.Operator, interval_s: float) -> None:
    """Kopf tells of deletions that its watch sees; what went in a gap of the watch is found by a list of names."""
    while True:
        await asyncio.sleep(interval_s)
        for kind, resource in PRIMARY.items():
            known = set(operator.store.keys(kind))
            try:
                pages = [items async for items, _ in api.list_pages(resource, "", metadata_only=True)]
            except KubeError as error:
                log.warning("%s; looking again later", error)
                continue
            there = {Key(kind, *place_of(item)) for items in pages for item in items}
            for key in known - there:
                operator.seen(key, "DELETED", {})


async def _crds_served(client: KubeClient) -> None:
    """Kopf looks once for the kinds it is to watch: they have to be served by then."""
    told = False
    while True:
        try:
            if await client.serves(API_VERSION, {kind.plural for kind in KINDS.values()}):
                return
        except KubeError as error:
            log.warning("%s; trying again", error)
        if not told:
            log.warning("the CRDs of %s are not served yet; waiting: install the chart, or apply crds/", API_VERSION)
            told = True
        await asyncio.sleep(CRD_WAIT_S)


async def _bus_account(api: KubeClient, namespace: str, settings: Settings) -> dict[str, str] | None:
    if settings.bus is None:
        return None
    name = settings.bus.account_secret_ref.name
    data = decode_data(await api.get(SECRET, namespace, name))
    if missing := [key for key in ("account", "signing-key") if not data.get(key)]:
        raise SettingsError(
            f"Secret {namespace}/{name}, the bus account of the settings, lacks {', '.join(missing)}: create it first"
        )
    return data


async def _release(leader: Leader) -> None:
    with contextlib.suppress(KubeError):
        # It runs out by itself where the API server cannot be told.
        await asyncio.wait_for(leader.release(), timeout=1.0)


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Run `work`; once `stop` is set it has a moment to end by itself and is then cancelled."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=1.0)
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        stopped.cancel()

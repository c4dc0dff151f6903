# SPDX-License-Identifier: Apache-2.0
"""One life of the operator's memory over a `World`, driven by hand: events delivered, keys worked on, nothing timed."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import nkeys
from fake_backends import OWN_NAMESPACE
from fake_kube import Body

from island_hopper_api import bus
from island_hopper_api.report import Report
from island_hopper_operator.engine.controller import Controller, Outcome
from island_hopper_operator.engine.store import Key, References, Store
from island_hopper_operator.kube.resources import BY_KIND, PRIMARY, Resource
from island_hopper_operator.reconcile.agent import AgentReconciler, AgentSettings
from island_hopper_operator.reconcile.binding import BindingReconciler, BindingSettings
from island_hopper_operator.reconcile.children import Children
from island_hopper_operator.reconcile.cluster import SOURCES, Cluster
from island_hopper_operator.reconcile.dispatch import Dispatch
from island_hopper_operator.reconcile.externals import Externals
from island_hopper_operator.reconcile.identity import Account, Identities
from island_hopper_operator.reconcile.liveness import Liveness
from island_hopper_operator.reconcile.mailbox import Mailboxes
from island_hopper_operator.reconcile.namespace import NamespaceReconciler
from island_hopper_operator.reconcile.pods import Pods
from island_hopper_operator.reconcile.primary import Primaries
from island_hopper_operator.reconcile.recorder import Recorder
from island_hopper_operator.reconcile.reports import ReportBook
from island_hopper_operator.reconcile.route import RouteReconciler
from island_hopper_operator.runtime.wiring import Operator

if TYPE_CHECKING:
    from operator_world import World

CLUSTER_ID = "cluster-1"
HASH_KEY = b"hash key"
TTL_S = 3600
DEADLINE_S = 600.0
MOST_PASSES = 400
"""Far more than any test needs: beyond it two keys wake each other for ever."""

SEED = bytes(nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_ACCOUNT)).decode()
ACCOUNT = Account(nkeys.from_seed(bytearray(SEED.encode())).public_key.decode(), SEED)


@dataclass
class OperatorProcess:
    """One life of the operator, driven by hand."""

    world: "World"
    failing: set[Key] = field(default_factory=set)
    due_in_s: dict[Key, float] = field(default_factory=dict)
    passes: int = 0

    def __post_init__(self) -> None:
        world, kube = self.world, self.world.kube
        store, references = Store(), References()
        cluster, reports = Cluster(references), ReportBook()
        primaries, children = Primaries(kube, store, lambda: world.now), Children(kube, cluster)
        recorder = Recorder(kube, "operator-0", OWN_NAMESPACE, lambda: world.monotonic_s)
        liveness = Liveness(store, CLUSTER_ID)
        identities = (
            Identities(ACCOUNT, "nats://bus:4222", TTL_S, lambda: world.now.timestamp(), world.entropy)
            if world.mailboxes
            else None
        )
        agents = AgentReconciler(
            kube,
            primaries,
            references,
            children,
            Pods(cluster, reports, self._read_status, lambda: world.monotonic_s),
            reports,
            recorder,
            AgentSettings("agent:1", HASH_KEY, DEADLINE_S),
            mailboxes=Mailboxes(world.mailboxes, CLUSTER_ID, liveness) if world.mailboxes else None,  # type: ignore[arg-type]  # the fake stands in for the driver
            identities=identities,
            touch=lambda key: self.operator.controller.queue.add(key),
            is_draining=lambda: self.operator.is_draining,
            new_api_key=lambda: world.counted("api-key"),
        )
        bindings = BindingReconciler(
            kube,
            store,
            primaries,
            references,
            children,
            world.backends,
            Externals(world.backends, CLUSTER_ID, liveness, lambda: world.counted("password")),
            recorder,
            BindingSettings(HASH_KEY, DEADLINE_S),
            is_draining=lambda: self.operator.is_draining,
        )
        self._dispatch = Dispatch(
            {
                "Agent": agents,
                "StorageBinding": bindings,
                "ModelRoute": RouteReconciler(
                    kube,
                    primaries,
                    references,
                    reports,
                    recorder,
                    lambda: world.monotonic_s,
                    is_draining=lambda: self.operator.is_draining,
                ),
                "Namespace": NamespaceReconciler(kube, cluster, references, identities),
            }
        )
        controller: Controller[Key] = Controller(self._dispatch, lambda *_: None)
        self.reports, self.store, self.references, self.cluster = reports, store, references, cluster
        self.operator = Operator(
            store, references, cluster, reports, recorder, world.backends, controller, None, OWN_NAMESPACE
        )
        self._events: deque[tuple[str, Resource, Body]] = deque()
        self._matching: set[tuple[str, str, str]] = set()
        kube.listeners[:] = [self._take]
        self._list()

    async def settle(self) -> None:
        """Deliver events and work until there is nothing more to do."""
        queue, began = self.operator.controller.queue, self.passes
        self._deliver()
        while len(queue):
            key = await queue.get()
            self.passes += 1
            assert self.passes - began < MOST_PASSES, f"never quiet; last {key}"
            outcome = await self._dispatch.reconcile(key)
            queue.done(key)
            self._note(key, outcome)
            self._deliver()

    async def pass_over(self, key: Key) -> None:
        """One pass over this key before any other, as workers may happen to take them."""
        self._note(key, await self._dispatch.reconcile(key))

    async def retry(self) -> None:
        """All back-offs are over."""
        for key in self.failing:
            self.operator.controller.queue.add(key)
        await self.settle()

    async def resync(self) -> None:
        for key in list(self.store.keys()):
            self.operator.controller.queue.add(key)
        await self.settle()

    async def run_to_ready(self) -> None:
        """Until nothing changes, with pods that come up and back-offs that pass."""
        await self.settle()
        for _ in range(10):
            if not self.world.pods.roll_out() and not self.failing:
                return
            await self.retry()
        raise AssertionError(f"still failing: {self.failing}")

    def hear(self, report: Report) -> None:
        """A pod speaks on the bus."""
        subject = bus.report_subject(bus.Address(report.namespace, report.agent), report.pod)
        payload = report.model_dump_json(by_alias=True).encode()
        address = self.reports.hear(subject, payload, self.world.monotonic_s)
        if address is not None:
            self.operator.wake_agent(Key("Agent", address.namespace, address.name))

    async def _read_status(self, url: str) -> Report | None:
        return self.world.pods.answer(url)

    def _note(self, key: Key, outcome: Outcome) -> None:
        self.failing.discard(key)
        self.due_in_s.pop(key, None)
        if outcome.failed:
            self.failing.add(key)
        if outcome.requeue_after_s is not None:
            self.due_in_s[key] = outcome.requeue_after_s

    def _take(self, event: str, resource: Resource, body: Body) -> None:
        self._events.append((event, resource, body))

    def _deliver(self) -> None:
        while self._events:
            event, resource, body = self._events.popleft()
            if resource.kind in PRIMARY:
                self._primary(event, _key(body), body)
            else:
                self._watched(event, resource, body)

    def _primary(self, event: str, key: Key, body: Body) -> None:
        """As Kopf does: the index hears of everything but a deletion before the event handler does."""
        if event != "DELETED":
            self.operator.put(key, event, body)
        self.operator.seen(key, event, body)

    def _watched(self, event: str, resource: Resource, body: Body) -> None:
        """As a reflector does: what stops matching its selector is told of as deleted."""
        source = next((source for source in SOURCES if source.resource is resource), None)
        if source is None:
            return
        key = _key(body)
        place = (key.kind, key.namespace, key.name)
        matches = event != "DELETED" and _matches(source.selector, body["metadata"].get("labels") or {})
        if not matches and place not in self._matching:
            return
        (self._matching.add if matches else self._matching.discard)(place)
        shown = {"metadata": body["metadata"]} if source.metadata_only else body
        self.operator.watched(resource, event if matches else "DELETED", (key.namespace, key.name), shown)

    def _list(self) -> None:
        bodies = [body for _, body in sorted(self.world.kube.objects.items())]
        primaries = [body for body in bodies if body["kind"] in PRIMARY]
        for body in primaries:
            self.operator.put(_key(body), None, body)
        for body in bodies:
            if body["kind"] in BY_KIND and body["kind"] not in PRIMARY:
                self._watched("ADDED", BY_KIND[body["kind"]], body)
        for body in primaries:
            self.operator.seen(_key(body), None, body)


def _key(body: Body) -> Key:
    return Key(body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])


def _matches(selector: str, labels: dict[str, str]) -> bool:
    name, _, value = selector.partition("=")
    return not selector or (labels.get(name) == value if value else name in labels)

# SPDX-License-Identifier: Apache-2.0
"""Puts the layers together: who gets which client, store and clock, and which event makes which key due."""

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from pydantic import ValidationError

from island_hopper_api.report import Report
from island_hopper_operator.drivers.mailbox import MailboxDriver
from island_hopper_operator.drivers.nats import NatsBus
from island_hopper_operator.engine.controller import Controller, Observer
from island_hopper_operator.engine.queue import Priority
from island_hopper_operator.engine.store import Body, Key, References, Store
from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.kube.reflector import Place
from island_hopper_operator.kube.resources import CONFIG_MAP, NAMESPACE, Resource
from island_hopper_operator.reconcile.agent import AgentReconciler, AgentSettings
from island_hopper_operator.reconcile.backends import Backends
from island_hopper_operator.reconcile.binding import BindingReconciler, BindingSettings
from island_hopper_operator.reconcile.children import Children
from island_hopper_operator.reconcile.cluster import Cluster
from island_hopper_operator.reconcile.dispatch import Dispatch
from island_hopper_operator.reconcile.externals import Externals
from island_hopper_operator.reconcile.identity import Account, Identities
from island_hopper_operator.reconcile.liveness import Liveness
from island_hopper_operator.reconcile.mailbox import Mailboxes
from island_hopper_operator.reconcile.namespace import NamespaceReconciler
from island_hopper_operator.reconcile.pods import Pods, StatusReader
from island_hopper_operator.reconcile.primary import Primaries
from island_hopper_operator.reconcile.recorder import Recorder
from island_hopper_operator.reconcile.reports import ReportBook
from island_hopper_operator.reconcile.route import RouteReconciler
from island_hopper_operator.runtime.cluster_secret import ClusterSecret
from island_hopper_operator.runtime.environment import Environment
from island_hopper_operator.settings import Settings
from island_hopper_operator.status.conditions import ready_condition

log = logging.getLogger(__name__)

DRAIN_CONFIG_MAP = "island-hopper-drain"
"""Once a ConfigMap of this name (and our label) is in the operator's namespace, finalizers go and no work is begun."""

ASK_TIMEOUT_S = 2.0


@dataclass
class Operator:
    """Everything that runs, and the entry points for events."""

    store: Store
    references: References
    cluster: Cluster
    reports: ReportBook
    recorder: Recorder
    backends: Backends
    controller: Controller[Key]
    bus: NatsBus | None
    own_namespace: str
    is_draining: bool = False
    is_listed: bool = False
    """All of our kinds have been listed once."""
    _shown: dict[Key, tuple[object, object]] = field(default_factory=dict)
    """What the watch showed last of each object's status: what refers to it hears of a change, also of ours."""

    def put(self, key: Key, event: str | None, body: Body) -> None:
        """An object, as soon as it is known: before `seen`, and before all of the first lists are through."""
        del event
        self.store.put(key, body)

    def seen(self, key: Key, event: str | None, body: Body) -> None:
        """An event of an object of our kinds; the first comes when all kinds have been listed."""
        self.is_listed = True
        if event == "DELETED":
            self.store.remove(key)
            self._shown.pop(key, None)
            self.controller.queue.add(key)
            self._wake_referrers(key)
            return
        self.store.put(key, body)
        is_news, shown = self.store.is_news(key, body), _shown_to_referrers(body)
        if is_news:
            self.controller.queue.add(key)
        if is_news or shown != self._shown.get(key):
            self._shown[key] = shown
            self._wake_referrers(key)

    def watched(self, resource: Resource, event: str, place: Place, body: Body) -> None:
        """An event of a child, of a Secret that may be referred to, of a pod or of a namespace."""
        if resource is CONFIG_MAP and place == (self.own_namespace, DRAIN_CONFIG_MAP) and event != "DELETED":
            self._drain()
        for key in self.cluster.see(resource, event, place, body):
            # Until all kinds are listed a route that exists may seem missing; the first lists make each object due.
            if self.is_listed or key.kind == NAMESPACE.kind:
                self.controller.queue.add(key, Priority.CHILD)

    def heard(self, subject: str, payload: bytes) -> None:
        """A report of a pod."""
        address = self.reports.hear(subject, payload, time.monotonic())
        if address is not None:
            self.wake_agent(Key("Agent", address.namespace, address.name))

    def wake_agent(self, key: Key) -> None:
        """Its pods said something new, or fell silent: the Agent and its route have to tell."""
        if not self.is_listed or self.store.get(key) is None:
            return
        self.controller.queue.add(key, Priority.CHILD)
        for target in self.references.targets(key):
            if target.kind == "ModelRoute":
                self.controller.queue.add(target, Priority.CHILD)

    def _wake_referrers(self, key: Key) -> None:
        for referrer in self.references.of(key):
            self.controller.queue.add(referrer, Priority.CHILD)

    def _drain(self) -> None:
        """Until this process ends: Helm takes the ConfigMap away before it takes the operator away."""
        if not self.is_draining:
            log.warning("draining until restarted: finalizers go, nothing new is begun")
        self.is_draining = True
        for key in list(self.store.keys()):
            self.controller.queue.add(key)


def _shown_to_referrers(body: Body) -> tuple[object, object]:
    """The part of a status that plans of other objects depend on: Ready, and which credentials are vouched for."""
    status = body.get("status") or {}
    return ready_condition(status), (status.get("credentialsSecret") or {}).get("hash")


def build(
    api: KubeApi,
    environment: Environment,
    settings: Settings,
    cluster_secret: ClusterSecret,
    account: Mapping[str, str] | None,
    http: aiohttp.ClientSession,
    observe: Observer,
) -> Operator:
    """
    Args:
        api: Fenced by the lease.
        account: Data of the bus account's Secret; None where the settings name no bus.
        http: For asking pods for their report.
        observe: Told of each pass.
    """
    store, references = Store(), References()
    cluster, reports = Cluster(references), ReportBook()
    primaries, children = Primaries(api, store), Children(api, cluster)
    recorder = Recorder(api, environment.pod, environment.namespace, time.monotonic)
    liveness = Liveness(store, cluster_secret.cluster_id)
    backends = Backends(api, environment.namespace, settings.classes)
    bus = _bus(settings, account)
    identities = _identities(settings, account)
    operator: Operator

    def touch(key: Key) -> None:
        operator.controller.queue.add(key, Priority.CHILD)

    def is_draining() -> bool:
        return operator.is_draining

    agents = AgentReconciler(
        api,
        primaries,
        references,
        children,
        Pods(cluster, reports, status_reader(http), time.monotonic),
        reports,
        recorder,
        AgentSettings(settings.agent_image, cluster_secret.hash_key, settings.finalizer_deadline_s),
        mailboxes=Mailboxes(MailboxDriver(bus), cluster_secret.cluster_id, liveness) if bus else None,
        identities=identities,
        touch=touch,
        is_draining=is_draining,
    )
    bindings = BindingReconciler(
        api,
        store,
        primaries,
        references,
        children,
        backends,
        Externals(backends, cluster_secret.cluster_id, liveness),
        recorder,
        BindingSettings(cluster_secret.hash_key, settings.finalizer_deadline_s),
        is_draining=is_draining,
    )
    dispatch = Dispatch(
        {
            "Agent": agents,
            "StorageBinding": bindings,
            "ModelRoute": RouteReconciler(
                api, primaries, references, reports, recorder, time.monotonic, is_draining=is_draining
            ),
            "Namespace": NamespaceReconciler(api, cluster, references, identities),
        }
    )
    controller: Controller[Key] = Controller(dispatch, observe)
    operator = Operator(store, references, cluster, reports, recorder, backends, controller, bus, environment.namespace)
    return operator


def _bus(settings: Settings, account: Mapping[str, str] | None) -> NatsBus | None:
    if settings.bus is None or account is None:
        return None
    return NatsBus(settings.bus.url, account["account"], account["signing-key"])


def _identities(settings: Settings, account: Mapping[str, str] | None) -> Identities | None:
    if settings.bus is None or account is None:
        return None
    minter = Account(account["account"], account["signing-key"])
    return Identities(minter, settings.bus.url, settings.bus.credentials_ttl_s, time.time, secrets.token_bytes)


def status_reader(http: aiohttp.ClientSession) -> StatusReader:
    """Asks a pod for its report; no answer is an answer too, and none of its causes is ours to tell."""

    async def read(url: str) -> Report | None:
        try:
            async with http.get(url, timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)) as response:
                return Report.model_validate_json(await response.read()) if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
            log.debug("%s: %s", url, type(error).__name__)
            return None

    return read

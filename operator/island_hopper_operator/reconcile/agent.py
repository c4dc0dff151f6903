# SPDX-License-Identifier: Apache-2.0
"""One pass over one Agent: gather, mailbox, plan, apply, prune, status."""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from island_hopper_api import bus, constants, names
from island_hopper_api.agent import AgentSpec
from island_hopper_api.reasons import Reason
from island_hopper_operator.engine.controller import Outcome
from island_hopper_operator.engine.store import Key, References
from island_hopper_operator.kube.api import Body, KubeApi
from island_hopper_operator.kube.errors import KubeError
from island_hopper_operator.kube.resources import SECRET
from island_hopper_operator.plan.agent import AgentInputs, plan_agent
from island_hopper_operator.plan.config import API_KEY
from island_hopper_operator.plan.dependencies import (
    Dependencies,
    model_findings,
    storage_finding,
    storage_is_usable,
)
from island_hopper_operator.plan.deployment import selector, wanted_replicas
from island_hopper_operator.plan.encoding import decode_data
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.reconcile.children import Applied, Children
from island_hopper_operator.reconcile.gather import find_dependencies, find_route, references
from island_hopper_operator.reconcile.identity import Identities
from island_hopper_operator.reconcile.mailbox import Mailboxes
from island_hopper_operator.reconcile.pods import Pods, active_target
from island_hopper_operator.reconcile.primary import Primaries, Primary, waited_s, with_condition_only
from island_hopper_operator.reconcile.recorder import Recorder
from island_hopper_operator.reconcile.reports import ReportBook
from island_hopper_operator.status.agent import AgentSeen, agent_status
from island_hopper_operator.status.conditions import stalled_conditions
from island_hopper_operator.status.rollout import reports_finding, rollout_finding

log = logging.getLogger(__name__)

STALE_RECHECK_S = 45.0
"""A pod whose reports do not arrive is asked again this often."""

MISSING_RECHECK_S = 5.0
"""A pod that should run and says nothing is asked again this often: without a bus nothing else would wake its Agent."""

MIN_API_KEY_LENGTH = 16
"""A shorter value in `<agent>-api` is no key that anyone chose on purpose; it is replaced."""


def generate_api_key() -> str:
    """A bearer key with 256 random bits, recognisable for secret scanners by its prefix."""
    return f"hop_{secrets.token_urlsafe(32)}"


@dataclass(frozen=True)
class AgentSettings:
    """What the operator's settings say about Agents."""

    default_image: str
    hash_key: bytes
    finalizer_deadline_s: float


class AgentReconciler:
    """`reconcile` for Agents."""

    def __init__(
        self,
        api: KubeApi,
        primaries: Primaries,
        references_: References,
        children: Children,
        pods: Pods,
        reports: ReportBook,
        recorder: Recorder,
        settings: AgentSettings,
        *,
        mailboxes: Mailboxes | None,
        identities: Identities | None,
        touch: Callable[[Key], None],
        is_draining: Callable[[], bool],
        new_api_key: Callable[[], str] = generate_api_key,
    ) -> None:
        """
        Args:
            mailboxes: None where the operator has no bus; then `identities` is None too.
            touch: Called with each key that this pass makes due, such as a route that has an Agent more.
            is_draining: True once the operator is being uninstalled: finalizers go, nothing else is done.
        """
        self._api, self._primaries, self._references, self._children = api, primaries, references_, children
        self._pods, self._reports, self._recorder, self._settings = pods, reports, recorder, settings
        self._mailboxes, self._identities = mailboxes, identities
        self._touch, self._is_draining, self._new_api_key = touch, is_draining, new_api_key

    async def reconcile(self, key: Key) -> Outcome:
        agent = self._primaries.get(key)
        if agent is None:
            return self._forget(key)
        if agent.deleted_at is not None:
            return await self._delete(agent)
        if self._is_draining():
            return await self._let_go(agent)
        spec = agent.spec(AgentSpec)
        if isinstance(spec, Finding):
            conditions = stalled_conditions(spec, agent.conditions, agent.generation, self._primaries.now_text())
            await self._primaries.write_status(agent, with_condition_only(agent, conditions))
            return Outcome()
        return await self._bring_about(agent, spec)

    async def _bring_about(self, agent: Primary, spec: AgentSpec) -> Outcome:
        key = agent.key
        route = find_route(self._primaries, key.namespace, spec.model_route_ref.name)
        self._touch_all(self._references.set(key, references(key, spec, route)))
        deps = await find_dependencies(self._api, self._primaries, key.namespace, spec, route, self._settings.hash_key)
        agent, messaging = await self._mailbox(agent, spec)
        model = next(iter(model_findings(spec, deps)), None)
        plan = None
        applied, renew_after_s = Applied(), None
        if model is None and storage_is_usable(spec, deps):
            inputs, renew_after_s = await self._inputs(agent, spec, deps)
            assert deps.route is not None  # noqa: S101 - model_findings names a missing route
            plan = plan_agent(agent.owner, spec, deps.route, inputs)
            applied = await self._children.apply(agent.owner, plan.objects)
            if applied.finding is None:
                applied.retry = not await self._prune(agent, plan.objects)
        # An Agent that is blocked goes on serving where it did.
        ran_before = bool(agent.status.get("endpoint"))
        seen = AgentSeen(
            generation=agent.generation,
            route=spec.model_route_ref.name,
            active_target="",
            model=model,
            storage=storage_finding(spec, deps),
            uses_storage=spec.storage_ref is not None,
            messaging=messaging,
            uses_messaging=self._uses_messaging(spec),
            children=applied.finding,
            rollout=None,
            reports_are_stale=False,
            selector=",".join(f"{label}={value}" for label, value in selector(agent.owner).items()),
            endpoint=f"http://{key.name}.{key.namespace}.svc:{constants.API_PORT}" if plan or ran_before else "",
            stream=bus.task_stream(bus.Address(key.namespace, key.name)) if self._on_bus(spec) else "",
            messaging_note=_messaging_note(spec),
        )
        seen = await self._with_rollout(agent, spec, seen, plan.config_hash if plan else "", applied)
        await self._report(agent, seen)
        return self._outcome(seen, applied, renew_after_s)

    async def _prune(self, agent: Primary, objects: Sequence[Body]) -> bool:
        """What is too much harms nobody yet: a refusal is told and tried again, and hides nothing in status."""
        try:
            await self._children.prune(agent.owner, objects)
        except KubeError as error:
            log.warning("%s: children of an earlier plan cannot be removed: %s; trying again", agent.key, error)
            return False
        return True

    async def _with_rollout(
        self, agent: Primary, spec: AgentSpec, seen: AgentSeen, config_hash: str, applied: Applied
    ) -> AgentSeen:
        """What runs, also of an Agent that is blocked: its pods are then still those of the last plan."""
        wanted_hash = config_hash or str(agent.status.get("configHash", ""))
        if not wanted_hash:
            return seen
        rollout, reports, stale = await self._pods.rollout(
            agent.key, wanted_hash, wanted_replicas(spec), applied.generations.get("Deployment", 0)
        )
        return replace(seen, rollout=rollout, reports_are_stale=stale, active_target=active_target(reports))

    async def _report(self, agent: Primary, seen: AgentSeen) -> None:
        status = agent_status(seen, agent.conditions, self._primaries.now_text())
        await self._recorder.transition(agent, status)
        if await self._primaries.write_status(agent, status):
            # The route counts what its Agents use and say.
            self._touch(Key("ModelRoute", agent.key.namespace, seen.route))

    def _outcome(self, seen: AgentSeen, applied: Applied, renew_after_s: float | None) -> Outcome:
        if applied.retry or (seen.messaging is not None and not seen.messaging.stalled):
            return Outcome(failed=True)
        if seen.reports_are_stale:
            return Outcome(requeue_after_s=STALE_RECHECK_S)
        if seen.rollout and rollout_finding(seen.rollout) is None and reports_finding(seen.rollout) is not None:
            return Outcome(requeue_after_s=MISSING_RECHECK_S)
        return Outcome(requeue_after_s=renew_after_s)

    async def _inputs(self, agent: Primary, spec: AgentSpec, deps: Dependencies) -> tuple[AgentInputs, float | None]:
        key = agent.key
        known = decode_data(await self._api.get(SECRET, key.namespace, names.api_secret(key.name))).get(API_KEY, "")
        bus_secret, renew_after_s = None, None
        if self._on_bus(spec) and self._identities is not None:
            observed = decode_data(await self._api.get(SECRET, key.namespace, names.bus_secret(key.name)))
            address = bus.Address(key.namespace, key.name)
            bus_secret, renew_after_s = self._identities.secret(
                address, bus.agent_permissions(address, agent.uid), observed
            )
        inputs = AgentInputs(
            deps=deps,
            api_key=known if len(known) >= MIN_API_KEY_LENGTH else self._new_api_key(),
            bus_secret=bus_secret,
            default_image=self._settings.default_image,
            hash_key=self._settings.hash_key,
        )
        return inputs, renew_after_s

    async def _mailbox(self, agent: Primary, spec: AgentSpec) -> tuple[Primary, Finding | None]:
        """Streams and consumer as planned; the finalizer stands before the first of them and goes after the last."""
        if not self._on_bus(spec):
            if agent.has_finalizer:
                agent, finding = await self._remove_mailbox(agent)
                if finding is not None:
                    return agent, finding
            if spec.messaging.enabled:
                return agent, Finding(
                    Reason.BUS_NOT_CONFIGURED,
                    "spec.messaging.enabled is true and the operator has no bus: set `bus` in its settings, or false",
                    stalled=True,
                )
            return agent, None
        if not agent.has_finalizer:
            agent = await self._primaries.add_finalizer(agent)
        assert self._mailboxes is not None  # noqa: S101 - _on_bus says so
        return agent, await self._mailboxes.ensure(agent.owner, spec.messaging)

    async def _remove_mailbox(self, agent: Primary) -> tuple[Primary, Finding | None]:
        if self._mailboxes is not None and (finding := await self._mailboxes.remove(agent.owner)):
            return agent, finding
        return await self._primaries.remove_finalizer(agent), None

    async def _delete(self, agent: Primary) -> Outcome:
        """End stream and identity, then let the object go; garbage collection takes the children."""
        if not agent.has_finalizer:
            return Outcome()
        agent, finding = await self._remove_mailbox(agent)
        if finding is None:
            return Outcome()
        if waited_s(agent, self._primaries.now()) > self._settings.finalizer_deadline_s:
            await self._recorder.left_behind(agent, finding)
            await self._primaries.remove_finalizer(agent)
            return Outcome()
        conditions = stalled_conditions(finding, agent.conditions, agent.generation, self._primaries.now_text())
        await self._primaries.write_status(agent, with_condition_only(agent, conditions))
        return Outcome(failed=True)

    async def _let_go(self, agent: Primary) -> Outcome:
        if agent.has_finalizer:
            await self._primaries.remove_finalizer(agent)
        return Outcome()

    def _forget(self, key: Key) -> Outcome:
        self._touch_all(self._references.set(key, ()))
        self._children.forget(key)
        self._reports.forget(bus.Address(key.namespace, key.name))
        self._primaries.forget(key)
        self._recorder.forget(key)
        return Outcome(gone=True)

    def _touch_all(self, keys: frozenset[Key]) -> None:
        for key in keys:
            if key.kind in ("ModelRoute", "StorageBinding"):
                self._touch(key)

    def _on_bus(self, spec: AgentSpec) -> bool:
        return self._mailboxes is not None and spec.messaging.enabled is not False

    def _uses_messaging(self, spec: AgentSpec) -> bool:
        return self._on_bus(spec) or spec.messaging.enabled is True


def _messaging_note(spec: AgentSpec) -> str:
    if spec.storage_ref is not None:
        return ""
    return "without storageRef a task is delivered at least once: after a crash it may run again"

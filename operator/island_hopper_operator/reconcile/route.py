# SPDX-License-Identifier: Apache-2.0
"""One pass over one ModelRoute: are its references there, who uses it, and what do their pods say of its target."""

from collections.abc import Callable, Iterable

from island_hopper_api.bus import Address
from island_hopper_api.model_route import ModelRouteSpec, Target
from island_hopper_api.reasons import Reason
from island_hopper_api.report import Report
from island_hopper_operator.engine.controller import Outcome
from island_hopper_operator.engine.store import Key, References
from island_hopper_operator.kube.api import KubeApi
from island_hopper_operator.plan.dependencies import SecretData, missing_key
from island_hopper_operator.plan.findings import Finding
from island_hopper_operator.reconcile.gather import read_secrets
from island_hopper_operator.reconcile.pods import active_target
from island_hopper_operator.reconcile.primary import Primaries, Primary, with_condition_only
from island_hopper_operator.reconcile.recorder import Recorder
from island_hopper_operator.reconcile.reports import ReportBook
from island_hopper_operator.status.conditions import stalled_conditions
from island_hopper_operator.status.route import RouteSeen, route_status


class RouteReconciler:
    """`reconcile` for ModelRoutes."""

    def __init__(
        self,
        api: KubeApi,
        primaries: Primaries,
        references: References,
        reports: ReportBook,
        recorder: Recorder,
        monotonic: Callable[[], float],
        *,
        is_draining: Callable[[], bool],
    ) -> None:
        self._api, self._primaries, self._references = api, primaries, references
        self._reports, self._recorder, self._monotonic = reports, recorder, monotonic
        self._is_draining = is_draining

    async def reconcile(self, key: Key) -> Outcome:
        route = self._primaries.get(key)
        if route is None:
            self._references.set(key, ())
            self._recorder.forget(key)
            self._primaries.forget(key)
            return Outcome(gone=True)
        if route.deleted_at is not None or self._is_draining():
            return Outcome()
        spec = route.spec(ModelRouteSpec)
        if isinstance(spec, Finding):
            conditions = stalled_conditions(spec, route.conditions, route.generation, self._primaries.now_text())
            await self._primaries.write_status(route, with_condition_only(route, conditions))
            return Outcome()
        await self._look(route, spec)
        return Outcome()

    async def _look(self, route: Primary, spec: ModelRouteSpec) -> None:
        namespace = route.key.namespace
        wanted = sorted({target.secret_ref.name for target in spec.targets if target.secret_ref})
        self._references.set(route.key, (Key("Secret", namespace, name) for name in wanted))
        secrets = await read_secrets(self._api, namespace, wanted)
        users = self._primaries.agents_naming("modelRouteRef", route.key)
        reports = self._fresh_reports(users)
        seen = RouteSeen(
            generation=route.generation,
            target_count=len(spec.targets),
            active_target=active_target(reports) or _known_target(route, spec),
            agents=len(users),
            refs=_first_missing(spec.targets, secrets),
            failing=_failing(reports.values()),
        )
        status = route_status(seen, route.conditions, self._primaries.now_text())
        await self._recorder.transition(route, status)
        await self._primaries.write_status(route, status)

    def _fresh_reports(self, agents: Iterable[Key]) -> dict[str, Report]:
        now = self._monotonic()
        return {
            f"{agent.namespace}/{pod}": report
            for agent in agents
            for pod, report in self._reports.fresh(Address(agent.namespace, agent.name), now).items()
        }


def _known_target(route: Primary, spec: ModelRouteSpec) -> str:
    """What pods said before: after a restart they have only not spoken yet."""
    known = str(route.status.get("activeTarget") or "")
    return known if known in {target.name for target in spec.targets} else ""


def _first_missing(targets: Iterable[Target], secrets: dict[str, SecretData | None]) -> Finding | None:
    for target in targets:
        if target.secret_ref and (
            finding := missing_key(target.secret_ref, f"target {target.name!r} of this ModelRoute", secrets)
        ):
            return finding
    return None


def _failing(reports: Iterable[Report]) -> Finding | None:
    """What most pods that called the target met with on their last call."""
    called = [target for report in reports for target in report.targets if target.healthy is not None]
    failing = [target for target in called if not target.healthy]
    if len(failing) * 2 <= len(called):
        return None
    first = failing[0]
    kind = first.last_error.class_ if first.last_error else "error"
    return Finding(
        Reason.TARGET_FAILING,
        f"target {first.name!r} fails with {kind} in {len(failing)} of {len(called)} pods: "
        "check its endpoint, model name and key",
    )

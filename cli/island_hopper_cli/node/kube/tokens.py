# SPDX-License-Identifier: Apache-2.0
"""Service account tokens of one pod, by the TokenRequest API, renewed at 80 % of their life.

A token is bound to the pod: deleting the pod ends it. It is asked for once and kept until it is due, so that writing
the volume again for another reason costs no request.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.objects import Json, name, namespace, uid
from island_hopper_cli.node.spec.projection import TokenRef
from island_hopper_cli.node.timestamps import parse_time, utc_now

RENEW_AT = 0.8
"""Kubelet's share of a token's life after which it is renewed."""
SHORTEST_LIFE_S = 10.0
"""Guards against a clock that is far off: a token that seems over on arrival is not asked for in a tight loop."""


@dataclass(frozen=True)
class _Held:
    value: str
    due: float
    """On the event loop's clock."""


class PodTokens:
    """The tokens that one pod projects."""

    def __init__(self, api: ApiClient, pod: Json, refs: Iterable[TokenRef]) -> None:
        account = pod["spec"].get("serviceAccountName", "default")
        self._path = f"/api/v1/namespaces/{namespace(pod)}/serviceaccounts/{account}/token"
        self._pod = {"kind": "Pod", "apiVersion": "v1", "name": name(pod), "uid": uid(pod)}
        self._api, self._refs = api, frozenset(refs)
        self._held: dict[TokenRef, _Held] = {}

    async def current(self) -> Mapping[TokenRef, str]:
        """All tokens, those that are due renewed first. Raises ApiError or ApiUnreachable."""
        now = asyncio.get_running_loop().time()
        for ref in self._refs:
            if ref not in self._held or self._held[ref].due <= now:
                self._held[ref] = await self._request(ref, now)
        return {ref: held.value for ref, held in self._held.items()}

    def due_in_s(self) -> float | None:
        """Until the next renewal; None when the pod has no token."""
        if not self._held:
            return None
        return max(0.0, min(held.due for held in self._held.values()) - asyncio.get_running_loop().time())

    async def _request(self, ref: TokenRef, now: float) -> _Held:
        spec: Json = {"expirationSeconds": ref.life_s, "boundObjectRef": self._pod}
        if ref.audience:
            spec["audiences"] = [ref.audience]
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        status = (await self._api.create(self._path, body))["status"]
        life_s = (parse_time(status["expirationTimestamp"]) - utc_now()).total_seconds()
        return _Held(status["token"], now + RENEW_AT * max(life_s, SHORTEST_LIFE_S))

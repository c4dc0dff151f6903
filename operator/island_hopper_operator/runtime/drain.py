# SPDX-License-Identifier: Apache-2.0
"""Before the operator is removed: nothing of ours may be left that only it can let go.

The running operator, told by a ConfigMap, finishes deletions and takes its finalizers off. Where it does not, because
it is not running, they are taken off here, and what stays in backends is told.
"""

import asyncio
import logging

from island_hopper_api.constants import FINALIZER
from island_hopper_operator.kube.api import Body, KubeApi
from island_hopper_operator.kube.client import KubeClient
from island_hopper_operator.kube.connection import connect
from island_hopper_operator.kube.errors import Conflict, NotFound
from island_hopper_operator.kube.resources import PRIMARY, Resource
from island_hopper_operator.runtime.environment import Environment

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""How long the running operator is given without any progress."""

POLL_S = 1.0


async def run(environment: Environment, environ: dict[str, str]) -> None:
    connection = await connect(environment.service_account, environ)
    try:
        await drain(KubeClient(connection), PATIENCE_S)
    finally:
        await connection.session.close()


async def drain(api: KubeApi, patience_s: float) -> None:
    """Return when no object bears our finalizer."""
    loop = asyncio.get_running_loop()
    held, moved_at, is_alone = await _held(api), loop.time(), False
    while held:
        is_alone = is_alone or loop.time() - moved_at > patience_s
        if is_alone:
            await _let_go(api, held)
        await asyncio.sleep(POLL_S)
        now_held = await _held(api)
        if len(now_held) != len(held):
            moved_at = loop.time()
            log.info("%d objects still bear the finalizer", len(now_held))
        held = now_held
    log.info("drained: no object bears the finalizer")


async def _held(api: KubeApi) -> list[tuple[Resource, Body]]:
    found = []
    for resource in (PRIMARY["Agent"], PRIMARY["StorageBinding"]):
        try:
            async for items, _ in api.list_pages(resource, "", metadata_only=True):
                found += [(resource, item) for item in items if FINALIZER in (item["metadata"].get("finalizers") or [])]
        except NotFound:
            log.info("%s: the CRD is gone, and its objects with it", resource.kind)
    return found


async def _let_go(api: KubeApi, held: list[tuple[Resource, Body]]) -> None:
    for resource, item in held:
        meta = item["metadata"]
        finalizers = [name for name in meta["finalizers"] if name != FINALIZER]
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "finalizers": finalizers}}
        try:
            await api.merge_patch(resource, meta["namespace"], meta["name"], patch)
        except (Conflict, NotFound) as error:
            log.warning("%s %s/%s: %s", resource.kind, meta["namespace"], meta["name"], error)
            continue
        log.error(
            "%s %s/%s let go without the operator: what it has in backends stays there, under its mark",
            resource.kind, meta["namespace"], meta["name"],
        )  # fmt: skip

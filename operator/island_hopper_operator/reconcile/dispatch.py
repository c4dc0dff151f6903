# SPDX-License-Identifier: Apache-2.0
"""The reconciler that the engine calls: one for each kind, and what the Kubernetes API says against a pass."""

import logging
from collections.abc import Mapping

from island_hopper_operator.engine.controller import Outcome, Reconciler
from island_hopper_operator.engine.store import Key
from island_hopper_operator.kube import errors

log = logging.getLogger(__name__)


class Dispatch:
    """Kind -> reconciler. A refusal by the API server is the key's failure, not a fault of ours."""

    def __init__(self, by_kind: Mapping[str, Reconciler[Key]]) -> None:
        self._by_kind = by_kind

    async def reconcile(self, key: Key) -> Outcome:
        try:
            return await self._by_kind[key.kind].reconcile(key)
        except errors.Forbidden as error:
            if error.namespace_is_terminating:
                # What is deleted with its namespace needs nothing more; its own deletion comes as an event.
                return Outcome()
            log.error("%s: the operator lacks a right: %s", key, error)  # noqa: TRY400 - the sentence says it all
        except errors.Conflict:
            log.debug("%s: seen in an older version than it has; looking again", key)
        except errors.NotFound as error:
            log.info("%s: gone while it was worked on: %s", key, error)
        except errors.Throttled as error:
            log.warning("%s: %s; trying again in %g s", key, error, error.after_s)
            return Outcome(requeue_after_s=error.after_s)
        except errors.KubeError as error:
            log.warning("%s: %s", key, error)
        return Outcome(failed=True)

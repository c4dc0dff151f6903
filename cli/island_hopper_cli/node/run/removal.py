# SPDX-License-Identifier: Apache-2.0
"""The last step of a deletion: the node lets the API server remove the pod's object.

With grace period 0, since nothing of it is left here, and with the UID as precondition, since a pod of the same name
may have come meanwhile. Repeated until the API server has answered: a pod left in Terminating blocks its namespace.
"""

import asyncio
import logging

from island_hopper_cli.node.errors import ApiError, ApiUnreachable, Conflict, NotFound
from island_hopper_cli.node.kube.client import ApiClient
from island_hopper_cli.node.objects import Json, path_of, uid
from island_hopper_cli.node.spec.manifest import label

logger = logging.getLogger(__name__)

RETRY_S = 1.0


async def delete_object(api: ApiClient, pod: Json) -> None:
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid(pod)}}
    while True:
        try:
            await api.delete(path_of(pod, "pods"), body)
        except (NotFound, Conflict):
            return  # gone, or another pod by now
        except (ApiError, ApiUnreachable) as error:
            logger.warning("cannot delete %s: %s", label(pod), error)
            await asyncio.sleep(RETRY_S)
        else:
            return

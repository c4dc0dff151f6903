# SPDX-License-Identifier: Apache-2.0
"""The resources that the operator touches, by kind: a static table, so that no discovery call is ever needed."""

from dataclasses import dataclass
from urllib.parse import quote

from island_hopper_api.constants import API_VERSION
from island_hopper_api.kinds import KINDS


@dataclass(frozen=True)
class Resource:
    """One kind as the API server serves it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        root = "/api" if "/" not in self.api_version else "/apis"
        parts = [root, self.api_version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)


NAMESPACE = Resource("v1", "Namespace", "namespaces", namespaced=False)
SERVICE_ACCOUNT = Resource("v1", "ServiceAccount", "serviceaccounts")
SECRET = Resource("v1", "Secret", "secrets")
CONFIG_MAP = Resource("v1", "ConfigMap", "configmaps")
SERVICE = Resource("v1", "Service", "services")
POD = Resource("v1", "Pod", "pods")
DEPLOYMENT = Resource("apps/v1", "Deployment", "deployments")
REPLICA_SET = Resource("apps/v1", "ReplicaSet", "replicasets")
LEASE = Resource("coordination.k8s.io/v1", "Lease", "leases")
EVENT = Resource("events.k8s.io/v1", "Event", "events")

PRIMARY: dict[str, Resource] = {kind.kind: Resource(API_VERSION, kind.kind, kind.plural) for kind in KINDS.values()}

CHILDREN: tuple[Resource, ...] = (SERVICE_ACCOUNT, SECRET, CONFIG_MAP, SERVICE, DEPLOYMENT)
"""Kinds of child, in the order of the waves in which they are applied."""

BY_KIND: dict[str, Resource] = {resource.kind: resource for resource in (*CHILDREN, NAMESPACE, POD, *PRIMARY.values())}

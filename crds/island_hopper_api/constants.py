# SPDX-License-Identifier: Apache-2.0
"""Group, version, labels and annotations: each string that two parts of the product must spell alike."""

GROUP = "islandhopper.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FIELD_MANAGER = "island-hopper"
"""The one server-side-apply manager of every child. Changing it orphans the fields that running installs own."""

LABEL_AGENT = f"{GROUP}/agent"
LABEL_ROUTE = f"{GROUP}/route"
LABEL_BINDING = f"{GROUP}/binding"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "island-hopper"

LABEL_BUS_CLI = f"{GROUP}/bus-cli"
"""On a namespace, with the value `enabled`: the operator mints bus credentials for `hopper ask --bus` there."""

ANNOTATION_CONFIG_HASH = f"{GROUP}/config-hash"

FINALIZER = f"{GROUP}/externals"
"""Only on objects with something outside Kubernetes that deletion must end."""

SESSION_HEADER = "Hopper-Session"
"""Names the session that a turn continues, and in the answer the one that it belongs to."""

API_KEY_HEADER = "X-API-Key"
"""The Agent's key where a proxy keeps `Authorization` for itself, as the API server does."""

API_PORT = 8080
STATUS_PORT = 8081

ENV_CONFIG_DIR = "HOPPER_CONFIG_DIR"
ENV_SECRETS_DIR = "HOPPER_SECRETS_DIR"
ENV_BIND = "HOPPER_BIND"
ENV_SETTINGS = "HOPPER_SETTINGS"
ENV_SERVICE_ACCOUNT_DIR = "HOPPER_SERVICE_ACCOUNT_DIR"

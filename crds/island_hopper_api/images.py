# SPDX-License-Identifier: Apache-2.0
"""The images of the product: the one place that names them."""

REGISTRY = "ghcr.io/island-hopper"
RELEASE = "0.1.0"
OPERATOR_IMAGE = f"{REGISTRY}/operator:{RELEASE}"
AGENT_IMAGE = f"{REGISTRY}/agent:{RELEASE}"

# SPDX-License-Identifier: Apache-2.0
"""Kubelet's HTTPS API, as far as the API server needs it for `kubectl logs`."""

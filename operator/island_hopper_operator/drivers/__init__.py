# SPDX-License-Identifier: Apache-2.0
"""One module a backend: observe, create, update, delete. No Kubernetes types; comparing is `diff`."""

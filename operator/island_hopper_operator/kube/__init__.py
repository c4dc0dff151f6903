# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API, dict in and dict out. Knows no kind of ours and no driver."""

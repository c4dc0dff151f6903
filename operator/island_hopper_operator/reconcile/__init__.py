# SPDX-License-Identifier: Apache-2.0
"""One key, from what was seen to what should be: the only layer that sees plan, drivers and kube together."""

# SPDX-License-Identifier: Apache-2.0
"""Queue, workers, back-off and lease. Knows keys, no resource kind: what a key means is the reconciler's business."""

# SPDX-License-Identifier: Apache-2.0
"""What the operator, the pod and the command line agree on: the three kinds, the files between them, names and reasons.

This package imports nothing of ours and is the only source of the CRDs under `crds/` and in the chart.
"""

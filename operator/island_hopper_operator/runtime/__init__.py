# SPDX-License-Identifier: Apache-2.0
"""The process: Kopf, settings, probes, metrics, logs. The only layer that knows how the operator is started."""

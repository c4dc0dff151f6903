# SPDX-License-Identifier: Apache-2.0
"""Processes and what keeps them: probes, volumes, a container's life, a pod's life, and the status that tells of it."""

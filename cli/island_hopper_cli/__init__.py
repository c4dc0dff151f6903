# SPDX-License-Identifier: Apache-2.0
"""The `hopper` command: the development cluster, and what a person asks of running agents."""

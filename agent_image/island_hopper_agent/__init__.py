# SPDX-License-Identifier: Apache-2.0
"""The process in an agent's pod: `python -m island_hopper_agent`.

It reads the files that the operator wrote, serves the HTTP API and the mailbox, and runs turns with the SDK. Nothing
here talks to Kubernetes.
"""

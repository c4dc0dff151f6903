# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of a pod: OpenAI's chat completions on one port, probes and figures on another."""

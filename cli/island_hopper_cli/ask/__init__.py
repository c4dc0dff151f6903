# SPDX-License-Identifier: Apache-2.0
"""`hopper ask`: one question to one Agent, over HTTP or over the bus.

kubeconfig.py   which cluster is meant
api_server.py   the few calls of the Kubernetes API that this needs
agents.py       the Agent, whether it is ready, its key
reach.py        how its HTTP API is reached from here
chat.py         the question and the answer, whole or as it comes
mailbox.py      the same over the bus
asking.py       the road through all of these, as the command and the demo take it
"""

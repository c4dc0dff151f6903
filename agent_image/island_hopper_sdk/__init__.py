# SPDX-License-Identifier: Apache-2.0
"""What an agent is made of: models on a route, sessions in PostgreSQL, A2A on the bus.

It extends Strands Agents at its own seams (`Model`, `SessionRepository`) and knows neither Kubernetes nor HTTP servers,
so that a program of one's own can use it as the pod does.
"""

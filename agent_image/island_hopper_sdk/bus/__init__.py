# SPDX-License-Identifier: Apache-2.0
"""A2A over NATS: a connection that outlives its credentials, the worker of a mailbox, and a client for people."""

from island_hopper_sdk.bus.client import Answer, BusClient
from island_hopper_sdk.bus.connection import Bus
from island_hopper_sdk.bus.credentials import BusCredentials
from island_hopper_sdk.bus.envelope import Envelope
from island_hopper_sdk.bus.slots import Slots
from island_hopper_sdk.bus.tasks import InboundTask, TaskHandler, TryAgainLater
from island_hopper_sdk.bus.worker import TaskWorker

__all__ = [
    "Answer",
    "Bus",
    "BusClient",
    "BusCredentials",
    "Envelope",
    "InboundTask",
    "Slots",
    "TaskHandler",
    "TaskWorker",
    "TryAgainLater",
]

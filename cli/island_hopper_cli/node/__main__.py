# SPDX-License-Identifier: Apache-2.0
"""`python -m island_hopper_cli.node --config FILE`: run the node in the foreground until SIGTERM or Ctrl-C.

Logs go to standard error. Exit codes: 0 stopped, 1 a part of it failed, 2 the configuration cannot be used.
"""

import argparse
import asyncio
import logging
import resource
import sys
from pathlib import Path

from island_hopper_cli.node.agent import run_node
from island_hopper_cli.node.config import NodeConfig
from island_hopper_cli.node.errors import ConfigInvalid

OPEN_FILES = 65536
"""Each watched ConfigMap or Secret is a connection, each running container four descriptors."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m island_hopper_cli.node", description="A node that runs pods as processes."
    )
    parser.add_argument("--config", type=Path, required=True, help="the node's configuration, a YAML file")
    parser.add_argument("--verbose", action="store_true", help="log more")
    arguments = parser.parse_args()
    level = logging.DEBUG if arguments.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _raise_open_files()
    try:
        return asyncio.run(run_node(NodeConfig.load(arguments.config)))
    except ConfigInvalid as error:
        print(f"hopper node: {error}", file=sys.stderr)
        return 2


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())

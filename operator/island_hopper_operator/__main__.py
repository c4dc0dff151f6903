# SPDX-License-Identifier: Apache-2.0
"""`python -m island_hopper_operator` runs the operator; `… drain` prepares its removal."""

import asyncio
import logging
import os
import sys
from collections.abc import Iterator

from island_hopper_operator.kube.errors import LeaseLost
from island_hopper_operator.runtime import drain, main
from island_hopper_operator.runtime import logging as json_logging
from island_hopper_operator.runtime.environment import Environment
from island_hopper_operator.settings import SettingsError

log = logging.getLogger("island_hopper_operator")


USAGE = "usage: python -m island_hopper_operator [drain]"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def run(arguments: list[str]) -> int:
    json_logging.configure()
    if arguments not in ([], ["drain"]):
        log.error(USAGE)
        return 2
    try:
        environment = Environment.read(os.environ)
        task = drain.run if arguments else main.run
        asyncio.run(task(environment, dict(os.environ)))
    except (SettingsError, LeaseLost, BaseExceptionGroup) as error:
        told = [leaf for leaf in _leaves(error) if isinstance(leaf, LeaseLost | SettingsError)]
        if not told:
            log.exception("stopped by an internal error")
            return 1
        log.error("%s", told[0])  # noqa: TRY400 - the sentence says it all
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))

# SPDX-License-Identifier: Apache-2.0
"""`python -m island_hopper_agent`: settings from the environment, configuration from the mounted folders."""

import asyncio
import logging
import os
import signal
import sys

from island_hopper_agent import logs
from island_hopper_agent.lifecycle import PortTaken, run_pod
from island_hopper_agent.pod import Pod
from island_hopper_agent.settings import Settings, SettingsInvalid, read_settings
from island_hopper_api.agent_config import AGENT_FILE, AgentConfig, load_agent_config
from island_hopper_api.hashing import config_hash

log = logging.getLogger("island_hopper_agent")

EXIT_WRONG_CONFIG = 2
EXIT_AT_ONCE = 128 + signal.SIGTERM


class ConfigInvalid(Exception):
    """`agent.yaml` cannot be used; the sentence says why."""


def main() -> int:
    logs.set_up()
    try:
        settings = read_settings(os.environ)
        config, digest = _load(settings)
        asyncio.run(_run(Pod(settings, config, digest)))
    except (SettingsInvalid, ConfigInvalid, PortTaken) as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence for people; a stack would hide it
        return EXIT_WRONG_CONFIG
    except ExceptionGroup:
        log.exception("a part of the agent failed unforeseen")
        return 1
    return 0


def _load(settings: Settings) -> tuple[AgentConfig, str]:
    """The configuration and the hash of the bytes it was read from."""
    path = settings.config_dir / AGENT_FILE
    try:
        text = path.read_text(encoding="utf-8")
        config = load_agent_config(settings.config_dir)
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigInvalid(f"{path} is not a configuration for this version: {_first_line(error)}") from error
    if config.namespace != settings.namespace:
        raise ConfigInvalid(f"{path} is for namespace {config.namespace}, and this pod runs in {settings.namespace}")
    return config, config_hash(text)


def _first_line(error: ValueError) -> str:
    """Which fields are wrong, without their values, which may be anything."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return "it is not YAML" if "YAML" in str(error) else type(error).__name__
    return "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in errors()[:3])


async def _run(pod: Pod) -> None:
    loop = asyncio.get_running_loop()
    logs.watch_loop(loop)
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            # A second signal means now: no drain, no clean-up, and leases and tasks run out by themselves.
            sys.stdout.flush()
            os._exit(EXIT_AT_ONCE)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    log.info("starting agent %s/%s, pod %s", pod.config.namespace, pod.config.name, pod.settings.pod)
    await run_pod(pod, stop)


if __name__ == "__main__":
    sys.exit(main())

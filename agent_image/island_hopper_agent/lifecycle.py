# SPDX-License-Identifier: Apache-2.0
"""From start to exit: bring everything up, run until told to stop, drain, and leave nothing half done."""

import asyncio
import logging

from island_hopper_agent.pod import Pod

log = logging.getLogger(__name__)

LAST_WORDS_S = 5.0
"""After the last turn: time to commit, to acknowledge and to leave the bus. The pod's grace has 15 s beyond the longest
turn, of which the pre-stop pause takes 2."""


class PortTaken(Exception):
    """A listener could not be opened; the sentence names it."""


async def run_pod(pod: Pod, stop: asyncio.Event) -> None:
    """Returns when the pod has drained.

    Raises:
        PortTaken: An address cannot be listened on.
        ExceptionGroup: A part of the pod failed unforeseen.
    """
    seen = pod.files.fingerprint()
    pod.reload()
    await _listen(pod)
    background: list[asyncio.Task[None]] = []
    try:
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(pod.heartbeat.run()),
                group.create_task(pod.files.watch(seen, pod.reload)),
                group.create_task(_connect_database(pod)),
            ]
            if pod.bus is not None:
                background.append(group.create_task(pod.bus.run()))
                background.append(group.create_task(pod.reporter.publish(pod.bus)))
            await stop.wait()
            await _drain(pod)
            for task in background:
                task.cancel()
    finally:
        await _close(pod)


async def _listen(pod: Pod) -> None:
    for listener, port in ((pod.status, pod.settings.status_port), (pod.api, pod.settings.api_port)):
        try:
            await listener.start()
        except OSError as error:
            raise PortTaken(
                f"cannot listen on {pod.settings.bind}:{port}: {error.strerror or type(error).__name__}; "
                "check the address, and whether another process has the port"
            ) from error
    log.info("listening on %s, ports %d and %d", pod.settings.bind, pod.settings.api_port, pod.settings.status_port)


async def _connect_database(pod: Pod) -> None:
    if pod.storage is not None:
        await pod.storage.connect()
        pod.reporter.changed()
        if pod.worker is not None:
            # Not before: whether a task has ended already stands in the database.
            pod.worker.open()


async def _drain(pod: Pod) -> None:
    """Take nothing new, let what runs come to its end, and break off what does not."""
    log.info("draining: %d turns at work", pod.slots.taken)
    pod.readiness.is_draining = True
    pod.reporter.changed()
    if pod.worker is not None:
        await pod.worker.stop_taking()
    try:
        async with asyncio.timeout(pod.config.limits.request_timeout_s + LAST_WORDS_S):
            await pod.slots.wait_idle()
            if pod.worker is not None:
                await pod.worker.wait_idle()
    except TimeoutError:
        log.warning("%d turns did not end in time and are broken off", pod.slots.taken)
        if pod.worker is not None:
            await pod.worker.give_up()


async def _close(pod: Pod) -> None:
    await pod.api.stop()
    await pod.status.stop()
    await pod.route.close()
    if pod.storage is not None:
        await pod.storage.database.close()
    log.info("stopped")

# SPDX-License-Identifier: Apache-2.0
"""The supervisor's end of the control socket: one request a connection, events while it works, one answer."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from island_hopper_cli.dev.components import BY_NAME
from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.supervisor.core import Supervisor
from island_hopper_cli.dev.supervisor.protocol import Event, Op, code_version, encode


class Control:
    """Serves one supervisor until a command asks it to shut down."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._version = code_version()
        self._working: set[asyncio.Task[Any]] = set()
        self._everything_stopped = False
        self.finished = asyncio.Event()
        """Set when everything has been stopped and the process may end."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            await self._serve_request(await reader.readline(), reader, writer)
        except ConnectionError:
            return  # the command went away; nobody is left to answer
        finally:
            writer.close()

    async def shut_down(self) -> None:
        """Stop everything, whatever a command is at."""
        for task in self._working:
            task.cancel()
        await self._supervisor.shutdown(_to_nobody)
        self.finished.set()

    async def _serve_request(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def emit(event: Event) -> None:
            if not writer.is_closing():
                writer.write(encode(event.to_json()))

        work = asyncio.create_task(self._answer(line, emit))
        self._working.add(work)
        gone = asyncio.create_task(reader.read())
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()  # the command was interrupted: what it had begun is undone
        await asyncio.wait({work})
        gone.cancel()
        self._working.discard(work)
        writer.write(encode(_result(work)))
        await writer.drain()
        if self._everything_stopped:
            self.finished.set()  # only now: the process ends with it, and the command waits for the answer

    async def _answer(self, line: bytes, emit: Any) -> dict[str, Any]:
        request = json.loads(line)
        match Op(request["op"]):
            case Op.HELLO:
                return {"pid": os.getpid(), "code": self._version}
            case Op.STATUS:
                return {"components": [row.to_json() for row in self._supervisor.status()]}
            case Op.UP:
                await self._supervisor.up(_known(request["components"]), Path(request["binaries"]), emit)
            case Op.START:
                await self._supervisor.start(_known([request["component"]])[0], emit)
            case Op.STOP:
                name = _known([request["component"]])[0]
                await self._supervisor.stop(name, emit, kill=bool(request["kill"]))
            case Op.SHUTDOWN:
                await self._supervisor.shutdown(emit)
                self._everything_stopped = True
        return {}


def _known(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise DevError(f"there is no component {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    return names


def _result(work: asyncio.Task[dict[str, Any]]) -> Mapping[str, Any]:
    if work.cancelled():
        return {"error": "interrupted: another command is stopping the cluster"}
    match work.exception():
        case None:
            return {"result": work.result()}
        case DevError() as error:
            return {"error": str(error)}
        case error:
            # A bug of ours: its traceback goes to the supervisor's log, its name to the person.
            asyncio.get_running_loop().call_exception_handler({"message": "a command failed", "exception": error})
            return {"error": f"the supervisor failed with {type(error).__name__}: {error}; see logs/supervisor.log"}


def _to_nobody(event: Event) -> None:
    """For stops that no command asked for."""

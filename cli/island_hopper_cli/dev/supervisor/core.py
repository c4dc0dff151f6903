# SPDX-License-Identifier: Apache-2.0
"""What should run against what runs.

`up` is level-triggered: it looks at each component, leaves what runs as it should, restarts what runs with another
launch (a port moved, a certificate was renewed, a version changed) and starts what is missing. Components come up as
soon as what they need is ready, and go down once their users have stopped.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from island_hopper_cli.dev import process
from island_hopper_cli.dev.components import BY_NAME, Component, Context, Launch, NotReady, users_of, with_needs
from island_hopper_cli.dev.credentials import Credentials
from island_hopper_cli.dev.errors import ComponentFailed, DevError
from island_hopper_cli.dev.paths import ClusterPaths
from island_hopper_cli.dev.ports import assign, port_is_free
from island_hopper_cli.dev.state import State
from island_hopper_cli.dev.supervisor import orphans
from island_hopper_cli.dev.supervisor.child import Child
from island_hopper_cli.dev.supervisor.protocol import ComponentStatus, Event, EventKind, Health

Emit = Callable[[Event], None]

PORT_ATTEMPTS = 3
HUNG_GRACE_S = 2.0
"""What does not answer will hardly answer a signal."""
_POLL_S = (0.03, 0.06, 0.12, 0.25)


class NeedFailed(DevError):
    """Not tried: something that it needs did not come up."""

    def __init__(self, component: str, need: str) -> None:
        self.component, self.need = component, need
        super().__init__(f"{component} was not started: it needs {need}")


class Supervisor:
    """The components of one cluster folder. Every method runs on one event loop, on the main thread."""

    def __init__(self, paths: ClusterPaths) -> None:
        self._paths = paths
        self._children: dict[str, Child] = {}
        self._state = State.load(paths.state)
        self._credentials = Credentials.ensure(paths)
        self._binaries = paths.root
        self._turn = asyncio.Lock()

    async def up(self, names: Iterable[str], binaries: Path, emit: Emit) -> None:
        """Bring the named components and what they need up. Raises the first failure, when all have been tried."""
        async with self._turn:
            self._binaries = binaries
            components = with_needs(names)
            self._assign_ports([component for component in components if not self._is_alive(component.name)], emit)
            await self._bring_up_all(components, emit)

    async def start(self, name: str, emit: Emit) -> None:
        """Bring one component up, whose needs are running."""
        await self.up([name], self._binaries, emit)

    async def stop(self, name: str, emit: Emit, *, kill: bool = False) -> None:
        """Stop one component and leave its users to notice; with `kill` as a crash would."""
        async with self._turn:
            await self._stop(BY_NAME[name], emit, kill=kill)

    async def shutdown(self, emit: Emit) -> None:
        """Stop everything, users first."""
        async with self._turn:
            running = [name for name in BY_NAME if self._is_alive(name)]
            tasks: dict[str, asyncio.Task[None]] = {}

            async def stop_after_users(name: str) -> None:
                await asyncio.gather(*(tasks[user] for user in users_of(name, running)))
                await self._stop(BY_NAME[name], emit)

            # Every task is in the table before the first one runs.
            tasks.update({name: asyncio.create_task(stop_after_users(name)) for name in running})
            await asyncio.gather(*tasks.values())

    def kill_all(self) -> None:
        """The last resort of a supervisor that must end at once."""
        for child in self._children.values():
            if child.is_alive:  # the pid of one that ended may be anybody's by now
                process.kill_group(child.pid)

    def status(self) -> list[ComponentStatus]:
        return [self._status(component) for component in BY_NAME.values()]

    def known_pids(self) -> set[int]:
        return {child.pid for child in self._children.values()}

    async def _bring_up_all(self, components: Sequence[Component], emit: Emit) -> None:
        tasks: dict[str, asyncio.Task[None]] = {}

        async def bring_up_after_needs(component: Component) -> None:
            for need in component.needs:
                await _succeeded(component.name, need, tasks[need])
            await self._bring_up(component, emit)

        tasks.update({c.name: asyncio.create_task(bring_up_after_needs(c)) for c in components})
        try:
            await asyncio.wait(tasks.values())
        except asyncio.CancelledError:
            for task in tasks.values():
                task.cancel()
            await asyncio.wait(tasks.values())
            raise
        _raise_failures([error for task in tasks.values() if (error := task.exception()) is not None])

    async def _bring_up(self, component: Component, emit: Emit) -> None:
        emit(Event(EventKind.STARTING, component.name))
        try:
            note = await self._ensure_running(component, emit)
        except BaseException:
            emit(Event(EventKind.FAILED, component.name))
            raise
        emit(Event(EventKind.READY, component.name, note))

    async def _ensure_running(self, component: Component, emit: Emit) -> str:
        """Returns what a person may want to know about it."""
        launch = await asyncio.to_thread(component.prepare, self._context())
        child = self._children.get(component.name)
        if child is not None and child.is_alive:
            restart = await self._reason_to_restart(component, child, launch)
            if restart is None:
                return "already running"
            await child.stop(component.stop_signal, restart.grace_s)
            await self._start(component, launch, emit)
            return f"restarted: {restart.reason}"
        await self._start(component, launch, emit)
        return "" if child is None or child.stop_requested else f"repaired: it {child.ending()}"

    async def _reason_to_restart(self, component: Component, child: Child, launch: Launch) -> "_Restart | None":
        if child.digest != launch.digest():
            return _Restart("its settings changed", component.stop_grace_s)
        try:
            await self._until_ready(component, child, component.answers_within_s)
        except _NoProof as error:
            return _Restart(f"it {error}", HUNG_GRACE_S)
        return None

    async def _start(self, component: Component, launch: Launch, emit: Emit) -> None:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            child = await self._launch(component, launch)
            try:
                await self._until_ready(component, child, component.start_timeout_s)
            except BaseException as error:
                await asyncio.shield(self._discard(component, child))
                if not isinstance(error, _NoProof):
                    raise
                if attempt == PORT_ATTEMPTS or not self._lost_a_port(component):
                    raise ComponentFailed(component.name, str(error), child.log, child.tail()) from error
            else:
                return
            # Somebody else bound one of its ports between our look and its start.
            self._assign_ports([component], emit)
            launch = await asyncio.to_thread(component.prepare, self._context())

    async def _launch(self, component: Component, launch: Launch) -> Child:
        name = component.name
        if (old := self._children.get(name)) is not None:
            await orphans.end_remains(old.executable, self.known_pids())
        self._remove_leftovers(component)
        child = Child.start(name, launch, self._paths.log(name), self._paths.root)
        self._children[name] = child
        return child

    async def _until_ready(self, component: Component, child: Child, within_s: float) -> None:
        """Raises _NoProof when it dies or does not serve in time."""
        deadline = time.monotonic() + within_s
        for delay in _delays():
            try:
                await component.ready(self._context())
            except NotReady as reason:
                if time.monotonic() > deadline:
                    raise _NoProof(f"was not ready within {within_s:.0f} s: {reason}") from reason
            else:
                if child.is_alive:
                    child.becomes_ready()
                    return
            if await child.exits_within(delay):
                raise _NoProof(f"{child.ending()} before it was ready")

    async def _discard(self, component: Component, child: Child) -> None:
        await child.stop(component.stop_signal, component.stop_grace_s)

    async def _stop(self, component: Component, emit: Emit, *, kill: bool = False) -> None:
        child = self._children.get(component.name)
        if child is None or not child.is_alive:
            return
        emit(Event(EventKind.STOPPING, component.name))
        if kill:
            await child.kill()
        elif not await child.stop(component.stop_signal, component.stop_grace_s):
            emit(Event(EventKind.NOTICE, component.name, f"did not end within {component.stop_grace_s:.0f} s: killed"))
        await orphans.end_remains(child.executable, self.known_pids())
        self._remove_leftovers(component)
        emit(Event(EventKind.STOPPED, component.name))

    def _remove_leftovers(self, component: Component) -> None:
        for path in component.leftovers(self._context()) if component.leftovers is not None else ():
            path.unlink(missing_ok=True)

    def _assign_ports(self, components: Sequence[Component], emit: Emit) -> None:
        """Ports for components that are about to start; a taken one is replaced and told."""
        wishes = [wish for component in components for wish in component.ports]
        names = {wish.name for wish in wishes}
        others = {port for name, port in self._state.ports.items() if name not in names}
        assignment = assign(wishes, self._state.ports, others)
        for notice in assignment.notices:
            emit(Event(EventKind.NOTICE, note=notice))
        self._state = self._state.with_ports(assignment.ports)
        self._state.save(self._paths.state)

    def _lost_a_port(self, component: Component) -> bool:
        return any(not port_is_free(self._state.ports[wish.name]) for wish in component.ports)

    def _is_alive(self, name: str) -> bool:
        child = self._children.get(name)
        return child is not None and child.is_alive

    def _context(self) -> Context:
        return Context(self._paths, self._binaries, self._state.ports, self._credentials)

    def _status(self, component: Component) -> ComponentStatus:
        child = self._children.get(component.name)
        if child is None:
            return ComponentStatus(component.name, Health.STOPPED)
        if not child.is_alive:
            if child.stop_requested:
                return ComponentStatus(component.name, Health.STOPPED, since=child.since)
            return ComponentStatus(component.name, Health.DIED, since=child.since, detail=child.ending())
        return ComponentStatus(
            component.name,
            Health.READY if child.is_ready else Health.STARTING,
            child.pid,
            component.address(self._state.ports),
            process.resident_bytes(child.pid),
            child.since,
        )


@dataclass(frozen=True)
class _Restart:
    """Why a component that runs is started anew, and how long it may take to end."""

    reason: str
    grace_s: float


class _NoProof(Exception):
    """It did not show that it serves; the message says how that was seen."""


async def _succeeded(component: str, need: str, task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])
    if task.cancelled() or task.exception() is not None:
        raise NeedFailed(component, need)


def _raise_failures(errors: Sequence[BaseException]) -> None:
    """One error as it is; several as one whose message has them all; what was not even tried is no news beside them."""
    causes = [error for error in errors if not isinstance(error, NeedFailed)]
    if not causes:
        return
    if len(causes) == 1 or not all(isinstance(cause, DevError) for cause in causes):
        raise next((cause for cause in causes if not isinstance(cause, DevError)), causes[0])
    raise DevError("\n".join(str(cause) for cause in causes))


def _delays() -> Iterable[float]:
    yield from _POLL_S
    while True:
        yield _POLL_S[-1]

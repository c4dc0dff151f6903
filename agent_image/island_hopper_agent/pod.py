# SPDX-License-Identifier: Apache-2.0
"""The parts of a pod and how they hang together; what happens between start and stop is in lifecycle.py."""

import logging
from typing import Any

from island_hopper_agent.bus_tasks import BusTasks
from island_hopper_agent.files import MountedFiles
from island_hopper_agent.health import Heartbeat, Readiness
from island_hopper_agent.http.chat import ChatHandler
from island_hopper_agent.http.servers import Listener, ModelPages, ProbePages, api_app, status_app
from island_hopper_agent.http.status import StatusPages
from island_hopper_agent.keys import ApiKeys
from island_hopper_agent.metrics import Metrics
from island_hopper_agent.report import Reporter
from island_hopper_agent.settings import Settings
from island_hopper_agent.storage import Storage
from island_hopper_agent.turn import TurnRunner
from island_hopper_api.agent_config import AgentConfig, CompiledRoute, load_route
from island_hopper_api.bus import CREDENTIALS_KEY, URL_KEY, Address
from island_hopper_sdk.bus import Bus, BusCredentials, Slots, TaskWorker
from island_hopper_sdk.models import ModelRouteTable

log = logging.getLogger(__name__)


class Pod:
    """Built once; nothing runs yet."""

    def __init__(self, settings: Settings, config: AgentConfig, config_hash: str) -> None:
        self.settings, self.config = settings, config
        self.files = MountedFiles(settings.config_dir, settings.secrets_dir)
        self.heartbeat, self.readiness = Heartbeat(), Readiness()
        self.slots = Slots(config.limits.concurrency)
        self.metrics = Metrics(f"{config.namespace}/{config.name}")
        self.keys = ApiKeys()
        self.route = ModelRouteTable(self._changed)
        self.route_error = ""
        self.reporter = Reporter(config, config_hash, settings.pod, self.route, self.readiness)
        self.storage = self._storage()
        store = self.storage.store if self.storage else None
        self.runner = TurnRunner(config, self.route, store, self.metrics, self.metrics)
        self.bus, self.worker = self._bus()
        self.api, self.status = self._listeners()
        self._require_all()

    def reload(self) -> None:
        """Read again what may change under a running pod: route, keys, bus credentials."""
        self.keys.load(self.config.auth, self.files.secret)
        try:
            route: CompiledRoute = load_route(self.files.config_dir)
            if self.route.update(route, self.files.secret):
                log.info("route %s, generation %d, is in force", route.name, route.generation)
            self.route_error = ""
        except FileNotFoundError:
            self._refuse_route("it is not there")
        except (OSError, ValueError) as error:
            self._refuse_route(f"it cannot be used ({type(error).__name__})")
        if self.bus is not None:
            self.bus.credentials_changed()

    def details(self) -> dict[str, Any]:
        """What only this pod knows, for `/status`."""
        return {
            "waitingFor": self.readiness.missing(),
            "route": {"name": self.route.name, "error": self.route_error},
            "sessions": {"configured": self.storage is not None, "connected": self._has_database()},
            "bus": {"configured": self.bus is not None, "connected": self.bus is not None and self.bus.is_connected},
            "turns": {"running": self.slots.taken, "limit": self.slots.limit},
        }

    def _refuse_route(self, why: str) -> None:
        self.route_error = why
        log.error("route.yaml is not used: %s; the route before, if any, stays in force", why)

    def _storage(self) -> Storage | None:
        storage = self.config.storage
        if storage is None or not storage.postgres:
            return None
        return Storage(self.config, storage.secret, self.files, self.settings.pod)

    def _bus(self) -> tuple[Bus | None, TaskWorker | None]:
        if self.config.bus is None:
            return None, None
        me = Address(self.config.namespace, self.config.name)
        bus = Bus(me, self._bus_credentials, f"{me}/{self.settings.pod}", self._changed)
        book = self.storage.book if self.storage else None
        tasks = BusTasks(me, self.runner, book, self.config.limits.request_timeout_s)
        worker = TaskWorker(bus, self.config.bus, tasks, self.slots, self.metrics.task_ended, is_open=book is None)
        bus.add(worker)
        return bus, worker

    def _bus_credentials(self) -> BusCredentials | None:
        if self.config.bus is None:
            return None
        creds = self.files.secret_value(self.config.bus.secret, CREDENTIALS_KEY)
        url = self.files.secret_value(self.config.bus.secret, URL_KEY)
        # The file's last line ends where nats-py reads to the end of a line.
        return BusCredentials(url, creds + "\n") if creds and url else None

    def _listeners(self) -> tuple[Listener, Listener]:
        probes = ProbePages(self.heartbeat, self.readiness)
        chat = ChatHandler(self.config, self.runner, self.slots, self.readiness, has_sessions=self.storage is not None)
        api = api_app(probes, ModelPages(self.config), chat, self.keys, self.metrics)
        status = status_app(probes, StatusPages(self.reporter, self.metrics, self.details))
        host = self.settings.bind
        return Listener(api, host, self.settings.api_port), Listener(status, host, self.settings.status_port)

    def _require_all(self) -> None:
        require = self.readiness.require
        require("the API to listen", lambda: self.api.is_up)
        require("a route", lambda: bool(self.route.name))
        if self.storage is not None:
            require("the sessions' database", self._has_database)
        if self.bus is not None:
            require("the bus", self._was_on_bus)

    def _has_database(self) -> bool:
        return self.storage is not None and self.storage.database.is_connected

    def _was_on_bus(self) -> bool:
        return self.bus is not None and self.bus.was_connected

    def _changed(self) -> None:
        if self.bus is not None:
            self.metrics.bus_connected(self.bus.is_connected)
        self.reporter.changed()

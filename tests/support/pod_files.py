# SPDX-License-Identifier: Apache-2.0
"""The mounted folders of an agent's pod, written as kubelet does: each change is one turn of a `..data` link."""

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from island_hopper_api import bus as names
from island_hopper_api.bus import Address

UID = "7d1c5b1e-5a0e-4c1a-9a43-2f4f6a1b9c00"

_turns = itertools.count()

API_KEY = "api-key-canary-51d0"
WEB_KEY = "web-key-canary-92b4"
TARGET_KEY = "target-key-canary-13aa"


def write_volume(folder: Path, files: Mapping[str, str]) -> None:
    """Put exactly these files into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"..{next(_turns)}"
    data.mkdir()
    for name, text in files.items():
        (data / name).write_text(text)
    link = folder / "..data_tmp"
    link.symlink_to(data.name)
    os.replace(link, folder / "..data")
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in files:
            entry.unlink()
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)


class PodFiles:
    """Configuration and secrets of the Agent team/support."""

    namespace, name = "team", "support"

    def __init__(self, home: Path) -> None:
        self.config_dir, self.secrets_dir = home / "config", home / "secrets"
        self.agent: dict[str, Any] = {
            "namespace": self.namespace,
            "name": self.name,
            "description": "Answers questions of the tests",
            "instructions": "You are the test's agent.",
            "auth": [
                {"principal": "default", "key": {"name": "support-api", "key": "api-key"}},
                {"principal": "web", "key": {"name": "support-keys", "key": "principal.web"}},
            ],
            "storage": None,
            "bus": None,
            "limits": {"requestTimeoutS": 30.0, "concurrency": 8},
        }
        self.route: dict[str, Any] = {"name": "default", "uid": "route-uid", "generation": 1, "targets": []}
        self.keys: dict[str, str] = {"target.main": TARGET_KEY, "principal.web": WEB_KEY}
        self.write_secret("support-api", {"api-key": API_KEY})
        self.write_keys()

    def write_secret(self, name: str, data: Mapping[str, str]) -> None:
        write_volume(self.secrets_dir / name, data)

    def write_keys(self, **changes: str | None) -> None:
        """Keys of targets and principals; `target_main="…"` sets, `target_main=None` removes."""
        for name, value in changes.items():
            key = name.replace("_", ".", 1)
            self.keys.pop(key, None)
            if value is not None:
                self.keys[key] = value
        self.write_secret("support-keys", self.keys)

    def write_agent(self) -> str:
        """Returns the text."""
        text = yaml.safe_dump(self.agent, sort_keys=False)
        write_volume(self.config_dir / "agent", {"agent.yaml": text})
        return text

    def write_route(self, **changes: Any) -> None:
        self.route |= changes
        write_volume(self.config_dir / "route", {"route.yaml": yaml.safe_dump(self.route, sort_keys=False)})

    def give_storage(self, secret: Mapping[str, str]) -> None:
        """Also writes agent.yaml."""
        self.agent["storage"] = {
            "binding": "main",
            "secret": "main-credentials",
            "credentialsHash": "0123456789abcdef",
            "postgres": True,
            "objectStore": False,
        }
        self.write_secret("main-credentials", secret)
        self.write_agent()

    def give_bus(self, secret: Mapping[str, str], **changes: Any) -> None:
        """Also writes agent.yaml."""
        agent = Address(self.namespace, self.name)
        self.agent["bus"] = {
            "secret": "support-bus",
            "stream": names.task_stream(agent),
            "consumer": names.task_consumer(agent, UID),
            "ackWaitS": 3.0,
            "maxDeliver": 5,
        } | changes
        self.write_secret("support-bus", secret)
        self.write_agent()

    def target(self, base_url: str, **changes: Any) -> dict[str, Any]:
        timeouts = {"connectS": 2.0, "firstTokenS": 3.0, "idleS": 2.0, "totalS": 20.0}
        target = {
            "name": "main",
            "provider": "OpenAI",
            "model": "test-model",
            "baseUrl": base_url,
            "key": {"name": "support-keys", "key": "target.main"},
            "parameters": {"temperature": 0.2, "topP": None, "maxTokens": 256},
            "timeouts": timeouts | changes.pop("timeouts", {}),
        }
        return target | changes

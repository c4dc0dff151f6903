# SPDX-License-Identifier: Apache-2.0
"""The objects that the demo applies: the quickstart sample, changed only where this machine makes it necessary."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from island_hopper_api.kinds import AGENT, KINDS, MODEL_ROUTE, STORAGE_BINDING
from island_hopper_cli.dev.checkout import resource

PATH = "manifests/samples/quickstart.yaml"

OPENAI_ROUTE = "openai"
OPENAI_SECRET = "openai"  # noqa: S105 - the name of a Secret
OPENAI_KEY = "api-key"
OPENAI_MODEL = "gpt-5-mini"

Body = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """A route, a binding and an Agent."""

    documents: tuple[Body, ...]
    is_as_committed: bool = True

    @property
    def agent(self) -> str:
        return self._name(AGENT.kind)

    @property
    def binding(self) -> str:
        return self._name(STORAGE_BINDING.kind)

    @property
    def manifest(self) -> str:
        return yaml.safe_dump_all(self.documents, sort_keys=False)

    @property
    def references(self) -> list[str]:
        """As kubectl takes them, such as `agents/support`; the Agent first, since the others serve it."""
        found = [f"{KINDS[body['kind']].plural}/{body['metadata']['name']}" for body in self.documents]
        return sorted(found, key=lambda reference: not reference.startswith(AGENT.plural))

    def _name(self, kind: str) -> str:
        return next(str(body["metadata"]["name"]) for body in self.documents if body["kind"] == kind)


def path() -> Path:
    """Where the sample lies."""
    return resource(PATH)


def quickstart() -> Sample:
    """The sample as it is in the repository."""
    return Sample(tuple(yaml.safe_load_all(path().read_text(encoding="utf-8"))))


def with_model_at(sample: Sample, base_url: str) -> Sample:
    """The sample with the local model's real address; the same value where it names that already."""
    documents = copy.deepcopy(sample.documents)
    changed = False
    for target in _targets(documents):
        if target.get("baseURL") not in (None, base_url):
            target["baseURL"], changed = base_url, True
    return Sample(documents, sample.is_as_committed and not changed)


def with_openai(sample: Sample) -> Sample:
    """The sample with a route to OpenAI in place of its own."""
    route: Body = {
        "apiVersion": sample.documents[0]["apiVersion"],
        "kind": MODEL_ROUTE.kind,
        "metadata": {"name": OPENAI_ROUTE},
        "spec": {
            "targets": [
                {
                    "name": "openai",
                    "provider": "OpenAI",
                    "model": OPENAI_MODEL,
                    "secretRef": {"name": OPENAI_SECRET, "key": OPENAI_KEY},
                }
            ]
        },
    }
    others = [copy.deepcopy(body) for body in sample.documents if body["kind"] != MODEL_ROUTE.kind]
    for body in others:
        if body["kind"] == AGENT.kind:
            body["spec"]["modelRouteRef"] = {"name": OPENAI_ROUTE}
    return Sample((route, *others), is_as_committed=False)


def openai_secret(key: str) -> str:
    """The Secret that the route names, as a manifest. It holds the key: for standard input, never for showing."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": OPENAI_SECRET},
            "type": "Opaque",
            "stringData": {OPENAI_KEY: key},
        }
    )


def _targets(documents: tuple[Body, ...]) -> list[Body]:
    routes: list[Mapping[str, Any]] = [body for body in documents if body["kind"] == MODEL_ROUTE.kind]
    return [target for route in routes for target in route["spec"]["targets"]]

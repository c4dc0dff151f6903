# SPDX-License-Identifier: Apache-2.0
"""Talking to an Agent of the development cluster over HTTP, at its pod's own address."""

from dataclasses import dataclass
from typing import Any

import httpx
from kube import Kube

SESSION = "Hopper-Session"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: dict[str, Any]
    session: str

    @property
    def text(self) -> str:
        return str(self.body["choices"][0]["message"]["content"])

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.body["error"])


def say(
    kube: Kube,
    namespace: str,
    agent: str,
    text: str,
    *,
    session: str | None = None,
    key: str | None = None,
    content: bytes | None = None,
) -> Answer:
    """One turn; `key` defaults to the generated one."""
    if key is None:
        key = (kube.secret(namespace, f"{agent}-api") or {})["api-key"]
    headers = {"Authorization": f"Bearer {key}"} | ({SESSION: session} if session else {})
    body = {"model": agent, "messages": [{"role": "user", "content": text}]}
    url = f"http://{address(kube, namespace, agent)}:8080/v1/chat/completions"
    if content is None:
        answer = httpx.post(url, headers=headers, json=body, timeout=120)
    else:
        answer = httpx.post(url, headers=headers, content=content, timeout=120)
    return Answer(answer.status_code, answer.json(), answer.headers.get(SESSION, ""))


def address(kube: Kube, namespace: str, agent: str) -> str:
    """Of a pod that is Ready."""
    for pod in kube.pods(namespace, agent):
        for condition in pod["status"].get("conditions") or []:
            if condition["type"] == "Ready" and condition["status"] == "True":
                return str(pod["status"]["podIP"])
    raise AssertionError(f"no pod of {namespace}/{agent} is Ready")

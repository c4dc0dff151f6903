# SPDX-License-Identifier: Apache-2.0
"""What callers and providers do wrong, at the real pod: the right status, a clear message, nothing kept."""

from typing import Any

import httpx
import pytest
from kube import Kube, until
from manifests import agent, binding, route, secret
from provider import CANARY, Provider
from talk import address, say

WEB_KEY = "web-key-0123456789abcdef"


@pytest.fixture
def support(kube: Kube, namespace: str, provider: Provider) -> str:
    keys = [{"principal": "web", "secretRef": {"name": "web", "key": "api-key"}}]
    kube.apply(
        namespace,
        secret("web", **{"api-key": WEB_KEY}),
        route("route", provider.url),
        binding("main"),
        agent("support", storage="main", auth={"apiKeys": keys}),
        agent("stateless"),
    )
    kube.ready("Agent", namespace, "support", within_s=60)
    kube.ready("Agent", namespace, "stateless", within_s=60)
    return namespace


def sessions(kube: Kube, namespace: str, database_admin: Any) -> list[int]:
    status = (kube.get("StorageBinding", namespace, "main") or {})["status"]
    rows = database_admin.rows(f'SELECT message_count FROM "{status["postgres"]["schema"]}".strands_sessions')
    return [row["message_count"] for row in rows]


@pytest.mark.timeout(120)
def test_callers_are_told_what_they_did_wrong(kube: Kube, support: str) -> None:
    refused = say(kube, support, "support", "hello", key="wrong")
    assert refused.status == 401
    refused = say(kube, support, "support", "x" * 2_000_000)
    assert refused.status == 413
    refused = say(kube, support, "support", "", content=b"{not json")
    assert refused.status == 400
    refused = say(kube, support, "stateless", "hello", session="some-session-id")
    assert (refused.status, refused.error["code"]) == (400, "sessions_need_storage")
    unknown = say(kube, support, "support", "hello", session="no-such-session")
    mine = say(kube, support, "support", "hello")
    theirs = say(kube, support, "support", "hello", session=mine.session, key=WEB_KEY)
    assert unknown.status == theirs.status == 404
    assert unknown.error["code"] == theirs.error["code"]
    nobody = httpx.post(f"http://{address(kube, support, 'support')}:8080/v1/chat/completions", json={})
    assert nobody.status_code == 401


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("mode", "status"),
    [
        pytest.param("401", 502, id="wrong-key"),
        pytest.param("429", 429, id="rate-limited"),
        pytest.param("500", 502, id="server-error"),
        pytest.param("cut", 502, id="cut-in-the-middle"),
        pytest.param("no-finish", 502, id="ended-without-a-finish"),
    ],
)
def test_a_failing_model_gives_a_clear_error_and_leaves_no_message(
    kube: Kube, support: str, provider: Provider, database_admin: Any, mode: str, status: int
) -> None:
    good = say(kube, support, "support", "hello")
    provider.mode = mode
    failed = say(kube, support, "support", "hello again", session=good.session)
    assert failed.status == status, failed.body
    assert "primary" in failed.error["message"], "the message names the target"
    assert CANARY not in str(failed.body), "the provider's own text is not passed on"
    assert sessions(kube, support, database_admin) == [2]
    provider.mode = "ok"
    assert say(kube, support, "support", "hello again", session=good.session).status == 200


@pytest.mark.timeout(120)
def test_a_model_that_is_not_there_gives_a_clear_error(kube: Kube, support: str) -> None:
    kube.patch("ModelRoute", support, "route", {"spec": {"targets": [gone()]}})

    def is_told() -> bool:
        answer = say(kube, support, "support", "hello")
        return answer.status in (502, 503, 504) and "primary" in answer.error["message"]

    until(is_told, 20, "an answer that says that the target cannot be reached")
    assert kube.is_ready("Agent", support, "support"), "a target that is away does not unready the Agent"


def gone() -> dict[str, Any]:
    return {"name": "primary", "model": "m", "baseURL": "http://127.0.0.1:9/v1", "allowInsecure": True}

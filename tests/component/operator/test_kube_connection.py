# SPDX-License-Identifier: Apache-2.0
"""How the operator reaches the API server: whom it trusts, and with which token."""

import datetime
from pathlib import Path
from types import SimpleNamespace

import certifi
import pytest
from kubernetes.aio.config import incluster_config
from scripted_api import ApiServer, answer

from island_hopper_operator.kube import errors
from island_hopper_operator.kube.client import KubeClient
from island_hopper_operator.kube.connection import Connection, connect
from island_hopper_operator.kube.resources import SECRET

BODY = {"metadata": {"name": "s"}}
SECRETS = "/api/v1/namespaces/team/secrets"
PUBLIC_AUTHORITIES = Path(certifi.where()).read_bytes()


async def test_a_server_that_is_not_there_is_unavailable(service_account: Path) -> None:
    connection = await connect(
        service_account, {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    )
    with pytest.raises(errors.Unavailable, match="no answer from the API server"):
        await KubeClient(connection).get(SECRET, "team", "s")
    await connection.session.close()


async def test_a_server_whose_certificate_another_authority_signed_is_not_spoken_to(
    api_server: ApiServer, service_account: Path
) -> None:
    (service_account / "ca.crt").write_bytes(PUBLIC_AUTHORITIES)
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api_server.port)}
    connection = await connect(service_account, environ)
    with pytest.raises(errors.Unavailable):
        await KubeClient(connection).get(SECRET, "team", "s")
    assert api_server.seen == []
    await connection.session.close()


async def test_a_renewed_token_is_read_again(
    client: KubeClient, api_server: ApiServer, service_account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubelet replaces the file long before the old token expires; it is looked at once a minute."""
    api_server.otherwise = answer(BODY)
    await client.get(SECRET, "team", "s")
    (service_account / "token").write_text("second-token")

    class InTwoMinutes(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "InTwoMinutes":
            return cls.fromtimestamp(datetime.datetime.now(tz).timestamp() + 120, tz)

    moved = SimpleNamespace(datetime=InTwoMinutes, timedelta=datetime.timedelta)
    monkeypatch.setattr(incluster_config, "datetime", moved)
    await client.get(SECRET, "team", "s")
    tokens = [seen.headers["Authorization"].lower() for seen in api_server.seen]
    assert tokens == ["bearer first-token", "bearer second-token"]


async def test_a_shared_session_may_be_closed_by_whom_it_was_given_to(
    connection: Connection, client: KubeClient, api_server: ApiServer
) -> None:
    api_server.otherwise = answer(BODY)
    shared = connection.share()
    async with shared.get(f"{connection.server}{SECRETS}/s") as response:
        assert response.status == 200
    await shared.close()
    assert await client.get(SECRET, "team", "s") == BODY
    assert all("first-token" in seen.headers["Authorization"] for seen in api_server.seen)

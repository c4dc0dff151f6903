# SPDX-License-Identifier: Apache-2.0
"""Calls to an S3-compatible object store and its IAM API, off the event loop, with time limits and without retries.

The only module that imports botocore, and only at the first call: it is large, and an install without object stores
should not carry it. botocore blocks, so calls run in threads, a few at once; trying again is the engine's business.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from island_hopper_operator.errors import ObjectStoreRefused, ObjectStoreUnreachable, OperatorError
from island_hopper_operator.externals import AccessKey

WORKERS = 4
"""Calls to one store at once: a slow one must not take all threads of the process."""

NOT_IMPLEMENTED = frozenset({"NotImplemented", "MethodNotAllowed", "UnsupportedOperation", "InvalidRequest"})
"""How servers say that they know no such thing; the HTTP status alone is 501, 405 or 400."""

BAD_CREDENTIALS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId"})

Answer: TypeAlias = dict[str, Any]

_UNAVAILABLE = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling"})


@dataclass(frozen=True)
class ObjectStoreEndpoint:
    """Where an object store is, its admin's key, and whether IAM's API answers at the same address."""

    endpoint: str
    region: str
    admin: AccessKey
    iam: bool

    def __str__(self) -> str:
        return f"object store at {self.endpoint}"


@dataclass(frozen=True)
class ObjectStoreTimeouts:
    """No call waits longer. All in seconds."""

    connect_s: float = 5.0
    read_s: float = 20.0
    """Deleting a thousand objects in one request is the slowest call."""


class ObjectStoreError(ObjectStoreRefused):
    """The store answered with an error that no driver foresaw, or that one tells by its `code` and HTTP `status`."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code, self.status = code, status

    @property
    def is_not_implemented(self) -> bool:
        return self.code in NOT_IMPLEMENTED or self.status in (405, 501)


class ObjectStore:
    """One store, as its admin or with any other key."""

    def __init__(
        self, endpoint: ObjectStoreEndpoint, timeouts: ObjectStoreTimeouts | None = None, workers: int = WORKERS
    ) -> None:
        self.endpoint, self._timeouts = endpoint, timeouts or ObjectStoreTimeouts()
        self._slots = asyncio.Semaphore(workers)
        self._making_clients = threading.Lock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._unknown: set[str] = set()

    async def call(self, service: str, operation: str, **parameters: Any) -> Answer:
        """One call as the admin: `service` is s3 or iam, `operation` is botocore's method.

        Raises:
            ObjectStoreError: It answered with an error.
            ObjectStoreUnreachable: No answer in time, or none that means anything now.
        """
        return await self._in_thread(lambda: self._as_admin(service, operation, parameters))

    async def call_if_known(self, operation: str, **parameters: Any) -> Answer | None:
        """An S3 call that not every server has: None where it has not, and then it is not asked again."""
        if operation in self._unknown:
            return None
        try:
            return await self.call("s3", operation, **parameters)
        except ObjectStoreError as error:
            if not error.is_not_implemented:
                raise
            self._unknown.add(operation)
            return None

    async def call_as(self, key: AccessKey, operation: str, **parameters: Any) -> Answer:
        """One S3 call with another key than the admin's; raises as `call` does."""
        return await self._in_thread(lambda: self._as(key, operation, parameters))

    def close(self) -> None:
        """Let go of idle connections. A call in flight ends by its time limit and keeps nobody waiting."""
        with self._making_clients:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        """In a daemon thread, unlike an executor's: the process may end while a store keeps us waiting.

        The slot is free again when the thread ends, also when nobody waits for it any more.
        """
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()

        def deliver(answer: Answer, error: Exception | None) -> None:
            self._slots.release()
            if answered.cancelled():
                return
            if error is None:
                answered.set_result(answer)
            else:
                answered.set_exception(error)

        def run() -> None:
            answer, failure = {}, None
            try:
                answer = self._translated(work)
            except Exception as error:  # noqa: BLE001 - raised again where the caller waits
                failure = error
            # A closed loop has nobody who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(deliver, answer, failure)

        threading.Thread(target=run, name="object-store", daemon=True).start()
        return await answered

    def _as_admin(self, service: str, operation: str, parameters: dict[str, Any]) -> Answer:
        with self._making_clients:
            if service not in self._clients:
                self._clients[service] = self._client(service, self.endpoint.admin)
            client = self._clients[service]
        return _call(client, operation, parameters)

    def _as(self, key: AccessKey, operation: str, parameters: dict[str, Any]) -> Answer:
        with self._making_clients:
            client = self._client("s3", key)
        try:
            return _call(client, operation, parameters)
        finally:
            client.close()

    def _client(self, service: str, key: AccessKey) -> Any:
        """Making one is not safe from several threads: call it under the lock."""
        import botocore.session
        from botocore.config import Config

        if self._session is None:
            self._session = botocore.session.get_session()
        return self._session.create_client(
            service,
            endpoint_url=self.endpoint.endpoint,
            region_name=self.endpoint.region,
            aws_access_key_id=key.key_id,
            aws_secret_access_key=key.secret,
            config=Config(
                connect_timeout=self._timeouts.connect_s,
                read_timeout=self._timeouts.read_s,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
                # Checksums that newer clients add by themselves are refused by some compatible servers.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def _translated(self, work: Callable[[], Answer]) -> Answer:
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError, ValidationError

        try:
            return work()
        except ClientError as error:
            raise self._answered(error.operation_name, error.response) from error
        except (ParamValidationError, ValidationError) as error:
            raise ObjectStoreRefused(
                f"{self.endpoint}: a name, the region or a key is malformed ({type(error).__name__}). Correct the class"
            ) from error
        except (BotoCoreError, OSError) as error:
            raise ObjectStoreUnreachable(
                f"{self.endpoint} does not answer ({type(error).__name__}): "
                "check that it runs and that the operator reaches it"
            ) from error
        except ValueError as error:
            raise ObjectStoreRefused(
                f"{self.endpoint}: the endpoint is not a URL such as https://s3.example.com. Correct the class"
            ) from error

    def _answered(self, operation: str, response: dict[str, Any]) -> OperatorError:
        """Of the server's answer only code and status are told."""
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str((response.get("Error") or {}).get("Code") or status)
        if code in _UNAVAILABLE or (status >= 500 and status != 501) or status == 429:
            return ObjectStoreUnreachable(f"{self.endpoint} cannot do {operation} now ({code}). Trying again")
        if status in (401, 403):
            hint = "the admin's key, in the Secret of objectStore.adminSecretRef, is wrong or lacks the right to it"
        else:
            hint = "the server's log has the details"
        return ObjectStoreError(f"{self.endpoint} refuses {operation} ({code}): {hint}", code, status)


def _call(client: Any, operation: str, parameters: dict[str, Any]) -> Answer:
    answer: Answer = getattr(client, operation)(**parameters)
    return answer

# SPDX-License-Identifier: Apache-2.0
"""Fetch one published file and believe it only with the right checksum.

A wrong sum, a cut connection or Ctrl-C leave nothing behind: bytes go to a temporary file beside the target, and only a
checked and complete one is renamed to it.
"""

import hashlib
import re
import tarfile
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from island_hopper_cli.dev.binaries.releases import Artifact
from island_hopper_cli.dev.errors import DevError, DownloadRefused
from island_hopper_cli.dev.progress import Step

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
ATTEMPTS = 3
_CHUNK_BYTES = 1 << 18


class DownloadFailed(DevError):
    """The file could not be had: no connection, an error status, or cut off each time."""


def download_program(artifact: Artifact, target: Path, step: Step) -> None:
    """Put the artifact's program at `target`, executable.

    Raises:
        DownloadRefused: the bytes are not what was published.
        DownloadFailed: they did not arrive.
    """
    with _client() as client, tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
        expected = artifact.sha256 or published_sum(client, artifact)
        received = Path(folder) / "received"
        _fetch(client, artifact.url, received, step)
        actual = sha256_of(received)
        if actual != expected:
            raise DownloadRefused(artifact.url, expected, actual)
        program = _extract(received, artifact, Path(folder)) if artifact.member else received
        program.chmod(0o755)
        program.replace(target)


def within_reach(artifacts: Sequence[Artifact], within_s: float) -> list[Artifact]:
    """Those whose release host answers a request for a checksum soon enough to be worth asking.

    Asked in threads that may be left behind: a name server that is not there blocks the look-up for longer than
    anyone waits.
    """
    hosts = {urlsplit(artifact.checksum_url).netloc: artifact.checksum_url for artifact in artifacts}
    answering: set[str] = set()

    def ask(host: str, url: str) -> None:
        import httpx

        try:
            with _client() as client:
                client.get(url).raise_for_status()
        except httpx.HTTPError:
            return  # no answer is the answer
        answering.add(host)

    threads = [threading.Thread(target=ask, args=host, daemon=True) for host in hosts.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [artifact for artifact in artifacts if urlsplit(artifact.checksum_url).netloc in answering]


def published_sum(client: "httpx.Client", artifact: Artifact) -> str:
    import httpx

    try:
        answer = client.get(artifact.checksum_url).raise_for_status()
    except httpx.HTTPError as error:
        raise DownloadFailed(f"the checksum {artifact.checksum_url} could not be read: {error}") from error
    return sum_for(answer.text, artifact)


def sum_for(text: str, artifact: Artifact) -> str:
    """The sum in a checksum file: the line that names our file, or the only word there is."""
    name = artifact.url.rpartition("/")[2]
    for line in text.splitlines():
        words = line.split()
        named = len(words) == 1 or (len(words) == 2 and words[1].lstrip("*") == name)
        if named and re.fullmatch(r"[0-9a-fA-F]{64}", words[0]):
            return words[0].lower()
    raise DownloadFailed(f"{artifact.checksum_url} holds no SHA-256 of {name}; nothing was downloaded")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _client() -> "httpx.Client":
    # Imported late: only a machine without the programs needs an HTTP client here.
    import httpx

    timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    return httpx.Client(follow_redirects=True, timeout=timeout)


def _fetch(client: "httpx.Client", url: str, target: Path, step: Step) -> None:
    import httpx

    for attempt in range(1, ATTEMPTS + 1):
        try:
            _stream(client, url, target, step)
        except httpx.HTTPStatusError as error:
            raise DownloadFailed(f"{url} answered {error.response.status_code}; nothing was kept") from error
        except httpx.HTTPError as error:
            if attempt == ATTEMPTS:
                raise DownloadFailed(
                    f"{url} was cut off or did not answer, {ATTEMPTS} times ({error}); nothing was kept, try again"
                ) from error
            step.say(f"cut off, attempt {attempt + 1} of {ATTEMPTS}")
        else:
            return


def _stream(client: "httpx.Client", url: str, target: Path, step: Step) -> None:
    with client.stream("GET", url) as answer, target.open("wb") as file:
        answer.raise_for_status()
        total = int(answer.headers.get("content-length", 0)) or None
        for chunk in answer.iter_raw(_CHUNK_BYTES):
            file.write(chunk)
            step.advance(answer.num_bytes_downloaded, total)


def _extract(archive: Path, artifact: Artifact, folder: Path) -> Path:
    """Copy the one member out; its name is ours, so nothing in the archive chooses where bytes go."""
    program = folder / artifact.program
    with tarfile.open(archive, "r:gz") as tar:
        try:
            source = tar.extractfile(artifact.member)
        except KeyError:
            source = None
        if source is None:
            raise DownloadFailed(f"{artifact.url} holds no {artifact.member}; nothing was kept")
        with source, program.open("wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                file.write(chunk)
    return program

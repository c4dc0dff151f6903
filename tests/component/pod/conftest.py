# SPDX-License-Identifier: Apache-2.0
"""A pod of the Agent team/support, its provider, and what it is connected to."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pod_files import PodFiles
from pod_process import PodProcess, own_address
from provider import Provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    await provider.start(own_address())
    yield provider
    await provider.stop()


@pytest.fixture
def files(tmp_path: Path, provider: Provider) -> PodFiles:
    """A plain agent: a route to the provider, no storage, no bus."""
    files = PodFiles(tmp_path)
    files.route["targets"] = [files.target(provider.url)]
    files.write_agent()
    files.write_route()
    return files


@pytest.fixture
def pod(files: PodFiles, tmp_path: Path) -> Iterator[PodProcess]:
    """Not started yet."""
    pod = PodProcess(files, tmp_path)
    yield pod
    pod.end()

# SPDX-License-Identifier: Apache-2.0
"""Small files written so that no reader ever sees half of one, and locks between processes.

Everything in a cluster folder is private to its owner (mode 0600); a file is replaced only when its content changes,
since the digest of a component's files decides whether `up` restarts it.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_file(path: Path, content: str | bytes, mode: int = 0o600) -> bool:
    """Put `content` at `path` by rename; False when it was there already."""
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


def write_json(path: Path, value: Mapping[str, Any], mode: int = 0o600) -> bool:
    return write_file(path, json.dumps(value, indent=2, sort_keys=True) + "\n", mode)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`; None when there is no such file or it holds none (cut off by a full disk, say)."""
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def exclusive(path: Path, *, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of `path`, waiting for whoever has it.

    Args:
        on_wait: called once with a description of the holder when there is one.

    The kernel lets go of the lock when its holder dies, so none is ever stale.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+") as file:
        if not try_lock(file.fileno()):
            if on_wait is not None:
                on_wait(_holder(path))
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock of `path` now."""
    try:
        with path.open("a") as file:
            return not try_lock(file.fileno())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    pid = path.read_text().strip()
    return f"process {pid}" if pid.isdigit() else "another process"

# SPDX-License-Identifier: Apache-2.0
"""Errors of the development cluster; each message ends with what to do next.

CommandError
└── DevError
    ├── NotOurFolder           the folder holds something else, and is left alone
    ├── BinariesMissing        no source has them
    ├── DownloadRefused        what arrived is not what was published
    ├── ComponentFailed        a component did not become ready, or died
    ├── SupervisorUnreachable  it should answer and does not
    └── ToolFailed             kubectl or helm ended with an error
"""

from pathlib import Path

from island_hopper_cli.errors import CommandError


class DevError(CommandError):
    """Base of everything the development cluster tells a person."""


class NotOurFolder(DevError):
    """The folder was not made by `hopper dev`: nothing in it may be touched, least of all deleted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder} is not empty and was not made by `hopper dev`, so it is left alone; "
            "set HOPPER_DEV_DIR to an empty or new folder"
        )


class BinariesMissing(DevError):
    """Programs are needed, and no source can give them."""


class DownloadRefused(DevError):
    """The bytes that arrived do not have the published checksum; they have been deleted."""

    def __init__(self, url: str, expected: str, actual: str) -> None:
        self.url, self.expected, self.actual = url, expected, actual
        super().__init__(
            f"{url} has SHA-256 {actual}, but {expected} was published: refused and deleted. "
            "Try again; if it stays, something between here and the release host changes downloads: "
            "put the programs into a folder yourself and name it in HOPPER_BIN_DIR, or install Go to build them"
        )


class ComponentFailed(DevError):
    """A component did not become ready."""

    def __init__(self, component: str, happened: str, log: Path, tail: str = "") -> None:
        self.component, self.happened, self.log = component, happened, log
        quoted = f"; the end of its log:\n{tail}" if tail else ""
        super().__init__(
            f"{component} {happened}. Look into {log}, then `hopper dev up` again "
            f"(or `hopper dev reset` for a fresh cluster){quoted}"
        )


class SupervisorUnreachable(DevError):
    """The supervisor's process is there and does not answer."""


class ToolFailed(DevError):
    """kubectl or helm ended with an error; `stderr` holds its own words."""

    def __init__(self, tool: str, arguments: tuple[str, ...], code: int, stderr: str) -> None:
        self.tool, self.arguments, self.code, self.stderr = tool, arguments, code, stderr
        super().__init__(f"{tool} {' '.join(arguments)} ended with code {code}: {stderr.strip() or '(no message)'}")

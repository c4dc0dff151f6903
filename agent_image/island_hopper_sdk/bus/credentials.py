# SPDX-License-Identifier: Apache-2.0
"""What it takes to connect: a server's address and the text of a credentials file."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class BusCredentials:
    """`creds` is a secret and is never shown; two are the same when a new connection would gain nothing."""

    url: str
    creds: str = field(repr=False)

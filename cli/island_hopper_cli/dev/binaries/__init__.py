# SPDX-License-Identifier: Apache-2.0
"""The programs of the control plane: found, downloaded with checked sums, or built from pinned modules.

versions.py   what is pinned in tools/*/go.mod, the one source
releases.py   where the releases and their checksums are published
download.py   fetch and check one file
build.py      `go build` of one program
cache.py      the order of the sources, and the folder they fill
"""

from island_hopper_cli.dev.binaries.cache import ALL_BINARIES, BinaryCache, find_binary

__all__ = ["ALL_BINARIES", "BinaryCache", "find_binary"]

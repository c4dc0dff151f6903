# SPDX-License-Identifier: Apache-2.0
"""`python -m island_hopper_cli.dev.binaries`: get the programs now, with progress, and print their folder.

For `make test` and for images: tests have a time limit, a first build of Kubernetes has not.
"""

import sys

from island_hopper_cli.dev.binaries import ALL_BINARIES, BinaryCache
from island_hopper_cli.dev.progress import progress_for
from island_hopper_cli.errors import CommandError


def main() -> int:
    try:
        with progress_for() as progress:
            print(BinaryCache.default().ensure(ALL_BINARIES, progress))
    except CommandError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""`python -m island_hopper_cli` is `hopper`."""

import sys

from island_hopper_cli.main import main

if __name__ == "__main__":
    sys.exit(main())

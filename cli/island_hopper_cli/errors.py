# SPDX-License-Identifier: Apache-2.0
"""What a command tells a person instead of a traceback.

    CommandError            what happened, to what, and what to do next
    └── dev.errors.…        the development cluster's own

`main` prints the message and ends with the code; everything else that is raised is a bug and keeps its traceback.
"""


class CommandError(Exception):
    """A command could not do its work; the message is a whole sentence for the person who typed it."""

    exit_code = 1

# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on the node, by what happens next.

NodeError
├── ConfigInvalid             the node's own configuration: it does not start
├── ApiError                  the API server refused
│   ├── NotFound              404
│   ├── Conflict              409: another UID or another writer
│   ├── Gone                  410: list again
│   └── Invalid               422: it will be refused for ever, so it is not repeated
├── ApiUnreachable            no answer at all: try again
├── ConfigError               a container cannot be configured now: it waits until what is missing appears
├── ImageUnknown              the image means nothing here and the container names no command
└── StartError                the program cannot be started: counts as an exit, so the restart policy applies
"""


class NodeError(Exception):
    """Base of everything below."""


class ConfigInvalid(NodeError):
    """The configuration of the node cannot be used; the message says what to change."""


class ApiError(NodeError):
    """The API server answered with a refusal."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status, self.reason, self.message = status, reason, message
        super().__init__(f"the API server answered {status} {reason}: {message}")


class NotFound(ApiError):
    """The object does not exist (any more)."""


class Conflict(ApiError):
    """The object is not the one that was meant, or somebody else wrote it."""


class Gone(ApiError):
    """The resource version is too old for a watch: list again."""


class Invalid(ApiError):
    """What was sent breaks a rule of the API."""


class ApiUnreachable(NodeError):
    """No answer: the API server is down, restarting, or a connection died."""

    def __init__(self, server: str, cause: str) -> None:
        self.server, self.cause = server, cause
        super().__init__(f"the API server at {server} gave no answer ({cause}); trying again")


class ConfigError(NodeError):
    """What a container refers to is missing or unusable; the message names it and goes into the container's status."""


class ImageUnknown(NodeError):
    """This node has no meaning for an image."""

    def __init__(self, image: str, known: tuple[str, ...]) -> None:
        self.image, self.known = image, known
        choices = ", ".join(known) or "none"
        super().__init__(
            f"image {image!r} means nothing on this node, which runs processes instead of images: "
            f"give the container a command, or use one of the images known here: {choices}"
        )


class StartError(NodeError):
    """The program of a container could not be started."""

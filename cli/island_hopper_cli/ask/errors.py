# SPDX-License-Identifier: Apache-2.0
"""What can keep a question from being answered, each with an exit code of its own so that scripts can tell them apart.

CommandError
└── AskError
    ├── ClusterMissing       3   no kubeconfig says which cluster, or it cannot be used
    ├── ClusterUnreachable   3   the API server does not answer, or not to us
    ├── AgentNotFound        4   nor is its namespace, or the kind itself
    ├── AgentNotReady        5   no pod of it serves; the message is the condition's
    ├── CredentialsMissing   6   no key, or none for the bus
    ├── NotAllowed           7   Kubernetes refuses what this needs
    ├── RequestRefused       8   the Agent answered 4xx: the question, the session or the key is not to its liking
    ├── AgentFailed          9   the Agent answered 5xx, or broke off
    ├── BusUnreachable      10   the bus does not answer from here, or refuses us
    └── TimedOut           124   as timeout(1) ends
"""

from island_hopper_cli.errors import CommandError

EXIT_TIMED_OUT = 124


class AskError(CommandError):
    """Base of all; each message is one line and ends with what to do next."""


class ClusterMissing(AskError):
    """Nothing says which cluster is meant, or what says so cannot be used."""

    exit_code = 3


class ClusterUnreachable(AskError):
    """The API server does not answer, or refuses who we say we are."""

    exit_code = 3


class AgentNotFound(AskError):
    """There is no such Agent where we looked."""

    exit_code = 4


class AgentNotReady(AskError):
    """The Agent exists and no pod of it serves."""

    exit_code = 5


class CredentialsMissing(AskError):
    """The Secret that holds what we would show the Agent or the bus is not there."""

    exit_code = 6


class NotAllowed(AskError):
    """Whoever the kubeconfig says we are lacks a right."""

    exit_code = 7


class RequestRefused(AskError):
    """The Agent understood and refused."""

    exit_code = 8

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class AgentFailed(AskError):
    """The Agent, or the model behind it, did not do its part."""

    exit_code = 9


class BusUnreachable(AskError):
    """The bus does not answer, or refuses the credentials."""

    exit_code = 10


class TimedOut(AskError):
    """No answer within the time that the Agent gives itself."""

    exit_code = EXIT_TIMED_OUT

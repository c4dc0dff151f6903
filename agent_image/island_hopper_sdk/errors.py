# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in a turn, sorted by who can mend it.

HopperError
├── ModelFailure            the model's target: class, route, target, when to try again (models/failures.py)
├── RouteMissing            no route has been loaded yet
├── SessionError
│   ├── SessionNotFound     unknown, or somebody else's: one answer for both
│   ├── SessionBusy         another turn holds it for longer than we wait
│   ├── SessionLeaseLost    another pod took it over; nothing of this turn was kept
│   ├── TaskEnded           its task was canceled or done meanwhile
│   └── SessionsUnavailable the database refuses or does not answer
└── BusError
    ├── BusUnreachable      no connection, or no answer in time
    ├── BusRefused          credentials or a permission
    ├── NoSuchAgent         nobody keeps a mailbox for the addressee
    ├── MailboxFull         the addressee's mailbox takes no more
    ├── AskTimeout          the task was taken and not finished in time
    ├── BodyTooLarge        above what one message may carry
    └── EnvelopeInvalid     a message that is not ours, or speaks for somebody else

A message is a sentence of ours: what was seen, of what, what to do next. It never holds a secret, a prompt or a
provider's own text; the cause stays chained for whoever debugs.
"""


class HopperError(Exception):
    """Base of all; `code` is what programs match on, `message` what people read."""

    code = "internal_error"

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class RouteMissing(HopperError):
    """The pod has no route yet: its file is not there, or not one that this version understands."""

    code = "route_missing"


class SessionError(HopperError):
    """Base of what sessions refuse."""


class SessionNotFound(SessionError):
    """No session of that id belongs to the caller. Says the same of an unknown id and of another's."""

    code = "session_not_found"

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(
            f"no session {session_id!r} of yours exists: leave the id out to begin a new one, "
            "and use the id that its answer carries"
        )


class SessionBusy(SessionError):
    """Another turn of the session was still running when the wait was over."""

    code = "session_busy"

    def __init__(self, session_id: str, waited_s: float) -> None:
        self.session_id, self.waited_s = session_id, waited_s
        super().__init__(
            f"session {session_id!r} has another turn running, still after {waited_s:g} s: "
            "send one turn of a session at a time"
        )


class SessionLeaseLost(SessionError):
    """The lease of the session passed to another pod in mid-turn."""

    code = "session_lease_lost"

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(
            f"session {session_id!r} was taken over by another pod during this turn, of which nothing was kept: "
            "send the message again"
        )


class TaskEnded(SessionError):
    """The task whose turn was to be committed has an end already: canceled, or done by another pod."""

    code = "task_ended"

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(f"task {task_id!r} has ended otherwise; nothing of this turn was kept")


class SessionsUnavailable(SessionError):
    """The database of the sessions refuses or does not answer."""

    code = "sessions_unavailable"

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(f"the session store is not available ({kind}): try again in a moment")


class BusError(HopperError):
    """Base of what happens on the bus."""


class BusUnreachable(BusError):
    """No connection to the bus, or no answer from it in time."""

    code = "bus_unreachable"


class BusRefused(BusError):
    """The bus refuses the credentials, or a subject that they do not allow."""

    code = "bus_refused"


class NoSuchAgent(BusError):
    """Nothing takes tasks for the addressee."""

    code = "no_such_agent"

    def __init__(self, agent: str) -> None:
        self.agent = agent
        super().__init__(
            f"no mailbox of an agent {agent} is on the bus: check the name and the namespace, "
            "and that the Agent has messaging enabled"
        )


class MailboxFull(BusError):
    """The addressee's mailbox refuses what would exceed its size."""

    code = "mailbox_full"

    def __init__(self, agent: str) -> None:
        self.agent = agent
        super().__init__(
            f"the mailbox of agent {agent} is full: wait until it has worked some tasks off, "
            "or raise spec.messaging.maxBytes"
        )


class AskTimeout(BusError):
    """The task lies in the mailbox or is at work, and the time to wait is over."""

    code = "ask_timeout"

    def __init__(self, agent: str, task_id: str, waited_s: float) -> None:
        self.agent, self.task_id, self.waited_s = agent, task_id, waited_s
        super().__init__(
            f"agent {agent} took task {task_id} and did not finish it within {waited_s:g} s; it was told to cancel: "
            "ask again with a longer time-out, or look whether its pods run"
        )


class BodyTooLarge(BusError):
    """A body that one message may not carry."""

    code = "body_too_large"

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        self.size_bytes, self.limit_bytes = size_bytes, limit_bytes
        super().__init__(f"the message is {size_bytes} bytes; the bus takes at most {limit_bytes}: send less text")


class EnvelopeInvalid(BusError):
    """A message whose envelope cannot be read, or does not agree with its subject."""

    code = "envelope_invalid"

# SPDX-License-Identifier: Apache-2.0
"""What can keep an object from being as it should be, sorted by what happens next.

OperatorError
├── Retryable                  try again, after `after_s` or the engine's back-off
│   ├── DatabaseUnreachable    no connection, no answer in time, or it shuts down
│   ├── DatabaseRefused        it answers and refuses: a login, a right, a limit
│   ├── ObjectStoreUnreachable
│   ├── ObjectStoreRefused
│   ├── BusUnreachable
│   └── BusRefused
├── DependencyMissing          wait for the object that it names
├── Conflict                   somebody else holds it: a person decides, we look again now and then
│   ├── SchemaOwnedByOther
│   ├── BucketOwnedByOther
│   └── StreamOwnedByOther
└── Terminal                   nothing but a change by a person helps: Stalled
    └── ImmutableDifference    it exists with a property that cannot be changed

A message is a sentence of ours for people: what was seen, of which object, what to do next. It never holds a secret nor
a client library's own text, which may hold one; the cause stays chained (`raise … from error`) for whoever debugs.
"""

from island_hopper_api.reasons import Reason


class OperatorError(Exception):
    """Base of all; `reason` is what tools match on, `message` what people read."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason, self.message = reason, message
        super().__init__(message)


class Retryable(OperatorError):
    """Time may heal it."""

    def __init__(self, reason: Reason, message: str, after_s: float | None = None) -> None:
        super().__init__(reason, message)
        self.after_s = after_s
        """Try again after this long; None: the back-off decides."""


class DependencyMissing(OperatorError):
    """Something that the object names is not there or not ready; its arrival is an event."""


class Conflict(OperatorError):
    """It exists and is not ours to touch."""

    def __init__(self, message: str, reason: Reason = Reason.CONFLICT) -> None:
        super().__init__(reason, message)


class Terminal(OperatorError):
    """Trying again changes nothing."""


class DatabaseUnreachable(Retryable):
    """The class's database does not answer."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(Reason.DATABASE_UNREACHABLE, message, after_s)


class DatabaseRefused(Retryable):
    """The class's database answers and refuses; the platform team can mend that at any time."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(Reason.DATABASE_REFUSED, message, after_s)


class ObjectStoreUnreachable(Retryable):
    """The class's object store does not answer."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(Reason.OBJECT_STORE_UNREACHABLE, message, after_s)


class ObjectStoreRefused(Retryable):
    """The class's object store answers and refuses."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(Reason.OBJECT_STORE_REFUSED, message, after_s)


class BusUnreachable(Retryable):
    """The bus does not answer."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(Reason.BUS_UNREACHABLE, message, after_s)


class BusRefused(Retryable):
    """The bus answers and refuses: credentials, a permission, a limit of the account."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(Reason.BUS_REFUSED, message, after_s)


class SchemaOwnedByOther(Conflict):
    """A schema or role of that name exists and does not bear our mark."""


class BucketOwnedByOther(Conflict):
    """A bucket or its user of that name exists and does not bear our mark."""


class StreamOwnedByOther(Conflict):
    """A stream of that name, or one that holds its subjects, exists and does not bear our mark."""


class ImmutableDifference(Terminal):
    """The backend cannot change this property, and recreating the object would lose what is in it."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.IMMUTABLE_DIFFERENCE, message)

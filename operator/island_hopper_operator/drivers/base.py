# SPDX-License-Identifier: Apache-2.0
"""The verbs that every driver has, and who may take what: the one place that decides on ownership.

What must stay true of every driver:

- `observe` never modifies, and answers None when nothing of the external exists.
- `create` and `update` are idempotent by name: after a crash at any point, running them again converges.
- Ownership is decided on what is there at the moment of writing, never on what was observed earlier.
- `delete` ends only what bears the mark of `desired`, and succeeds when nothing does.
- A call of a client library has a time limit, and its errors are translated once, here in `drivers`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from island_hopper_api.reasons import Reason
from island_hopper_operator.errors import Conflict
from island_hopper_operator.externals import Difference, Mark

Desired_contra = TypeVar("Desired_contra", contravariant=True)
Observed_co = TypeVar("Observed_co", covariant=True)


@dataclass(frozen=True)
class Claim:
    """What an object may take that does not bear its mark."""

    kind: str
    """Kind of the object, for messages."""
    adopt: bool | None
    """`spec.adopt`; None: the kind has no such field, and nothing is ever taken over."""
    adoption_allowed: bool
    """Of the class."""
    is_alive: Callable[[Mark], bool]
    """Whether the object that a mark names exists. True when that cannot be known, as for another cluster."""


@dataclass(frozen=True)
class Ours:
    """It bears our mark."""


@dataclass(frozen=True)
class TakeOver:
    """It is nobody's, and the object asked for it: mark it and go on."""

    previous: Mark | None


@dataclass(frozen=True)
class Refused:
    """It is not ours to touch."""

    message: str
    reason: Reason = Reason.CONFLICT


Decision = Ours | TakeOver | Refused


def decide(found: Mark | None, ours: Mark, claim: Claim, what: str) -> Decision:
    """Whose is an external that exists: `what` names it in the message, such as `bucket 'a'`."""
    if found == ours:
        return Ours()
    if found is not None and not _is_gone(found, ours, claim):
        return Refused(
            f"{what} belongs to {claim.kind} {found.owner} of cluster {found.cluster_id}, which exists: "
            "choose another name, or delete that one first"
        )
    return _unowned(found, claim, f"{what} {_provenance(found, ours, claim)}")


def require(
    parts: Sequence[tuple[str, Mark | None]], ours: Mark, claim: Claim, error: type[Conflict]
) -> tuple[Mark | None, ...]:
    """Decide on all parts of an external that exist.

    Returns:
        The earlier marks, None for none, of those parts that are to be taken over.

    Raises:
        Conflict: As `error`, at the first part that is not ours to touch.
    """
    taken = []
    for what, found in parts:
        match decide(found, ours, claim, what):
            case Refused(message, reason):
                raise error(message, reason)
            case TakeOver(previous):
                taken.append(previous)
            case Ours():
                pass
    return tuple(taken)


def _is_gone(found: Mark, ours: Mark, claim: Claim) -> bool:
    """Of two objects of one name the one that exists is ours: the other was before it."""
    return found.same_name(ours) or not claim.is_alive(found)


def _provenance(found: Mark | None, ours: Mark, claim: Claim) -> str:
    if found is None:
        return "exists and bears no owner's mark"
    if found.same_name(ours):
        return f"was left by an earlier {claim.kind} {found.owner} with UID {found.uid}, deleted since"
    return f"was left by {claim.kind} {found.owner} of cluster {found.cluster_id}, which is gone"


def _unowned(found: Mark | None, claim: Claim, fact: str) -> Decision:
    if claim.adopt is None:
        return Refused(f"{fact}: remove it by hand, or give the {claim.kind} another name")
    if not claim.adoption_allowed:
        hint = "its class does not allow adoption: ask the platform team, remove it by hand, or choose another name"
        return Refused(f"{fact}, and {hint}", Reason.ADOPTION_NOT_ALLOWED if claim.adopt else Reason.CONFLICT)
    if not claim.adopt:
        return Refused(f"{fact}: set spec.adopt: true to take it over with all that is in it, or choose another name")
    return TakeOver(found)


class Driver(Protocol[Desired_contra, Observed_co]):
    """What `reconcile` calls, the same for each backend."""

    async def observe(self, desired: Desired_contra) -> Observed_co | None: ...

    async def create(self, desired: Desired_contra, claim: Claim) -> None: ...

    async def update(self, desired: Desired_contra, differences: Sequence[Difference], claim: Claim) -> None: ...

    async def delete(self, desired: Desired_contra) -> None: ...

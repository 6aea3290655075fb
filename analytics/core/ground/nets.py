"""A net under each metric, arm, population and section: what fails in one of them is written down,
and the others go on.

What failed is a fault with its reason. It takes the place of the answer, so "cannot say" is said of
that part alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """What failed: ``subject`` is the metric's key (or another name), ``part`` what was being
    computed, ``reason`` why not.
    """

    subject: str
    part: str
    reason: str

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.subject}: cannot say ({self.part}): {self.reason}"


Ends = Callable[[BaseException], bool]
_NEVER_HELD: list[Ends] = []


def never_hold(ends: Ends) -> None:
    """Let such exceptions through every net: they end the whole work and are no part's fault.

    The end of a worker's time is one, a lock that somebody else holds another.
    """
    _NEVER_HELD.append(ends)


@dataclass
class Net:
    """Holds what fails. ``around`` is entered for each part: a savepoint keeps a failed statement
    from ending its transaction.
    """

    around: Callable[[], AbstractContextManager[object]] = nullcontext
    faults: list[Fault] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def hold(
        self, subject: str, part: str, work: Callable[[], T], instead: Callable[[str], T]
    ) -> T:
        """What ``work`` answers; where it fails, what ``instead`` makes of the reason."""
        try:
            with self.around():
                return work()
        except Exception as error:
            if any(ends(error) for ends in _NEVER_HELD):
                raise
            return instead(self.note(subject, part, error))

    def note(self, subject: str, part: str, error: Exception) -> str:
        """Write a fault down; its reason."""
        reason = f"{type(error).__name__}: {error}"[:LONGEST_REASON]
        self.faults.append(Fault(subject, part, reason))
        self.errors.append(error)
        return reason


class NoNet(Net):
    """Lets every fault fall: for simulations and tests, where a fault is the finding."""

    def hold(
        self, subject: str, part: str, work: Callable[[], T], instead: Callable[[str], T]
    ) -> T:
        return work()


NO_NET = NoNet()


def sentences(faults: Sequence[Fault]) -> tuple[str, ...]:
    """Each fault once, in order."""
    return tuple(dict.fromkeys(fault.sentence for fault in faults))

"""How long a login waits after failed ones: longer each time, never for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

FORGOTTEN = timedelta(hours=24)
"""After so long without another failure a subject begins anew."""


@dataclass(frozen=True)
class BackOff:
    """So many failures are free; each further one doubles the wait, up to the longest."""

    free: int
    longest: float

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        if failures < self.free:
            return 0.0
        return min(2.0 ** min(failures - self.free, 20), self.longest)


ACCOUNT = BackOff(free=5, longest=30.0)
"""Everybody's failures together. Short, since strangers cause it; who logs in from a known address
does not wait for it.
"""
PAIR = BackOff(free=3, longest=900.0)
ADDRESS = BackOff(free=20, longest=900.0)


@dataclass(frozen=True)
class Counted:
    """What is known of one subject."""

    failures: int = 0
    last_at: datetime | None = None
    known: bool = False

    def waits(self, rule: BackOff, now: datetime) -> float:
        """Seconds from now until this subject may try again."""
        if self.last_at is None or now - self.last_at > FORGOTTEN:
            return 0.0
        return max(0.0, rule.after(self.failures) - (now - self.last_at).total_seconds())


def subjects(account: str, address: str) -> dict[str, BackOff]:
    """What an attempt counts for: the account, the address, and the account from that address."""
    name = account[:150]
    return {
        f"account:{name}": ACCOUNT,
        f"address:{address}": ADDRESS,
        f"pair:{name}|{address}": PAIR,
    }


def wait(account: str, address: str, counted: Mapping[str, Counted], now: datetime) -> float:
    """Seconds until this account may try again from this address. Strangers never lock an account
    out of an address it uses.
    """
    of_pair = counted.get(f"pair:{account[:150]}|{address}", Counted())
    return max(
        counted.get(subject, Counted()).waits(rule, now)
        for subject, rule in subjects(account, address).items()
        if not (rule is ACCOUNT and of_pair.known)
    )

"""Refusals: each names the object, what was wanted, what was found, and what to do.

A refusal is for what the caller did wrong or what the rules forbid. "Cannot say" is a value, not
an error. The doors turn each class into one answer: 400, 401, 403, 404, 409, 413, 429 or 501.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: a stable code, where it is, and a sentence for a person."""

    code: str
    message: str
    field: str = ""

    def as_json(self) -> dict[str, str]:
        """The shape every door answers with."""
        return {"code": self.code, "field": self.field, "message": self.message}


@dataclass(eq=False)
class AssayError(Exception):
    """Base of every refusal that a door may show to its caller."""

    message: str
    field: str = ""
    problems: Sequence[Problem] = ()
    code: str = "error"

    def __str__(self) -> str:
        return "; ".join([self.message, *(p.message for p in self.problems)])


@dataclass(eq=False)
class InvalidInput(AssayError):
    """What was sent cannot be understood or stored (HTTP 400)."""

    code: str = "invalid"


@dataclass(eq=False)
class TooLarge(AssayError):
    """The body or batch is over its cap (HTTP 413)."""

    code: str = "too_large"


@dataclass(eq=False)
class NotAuthenticated(AssayError):
    """No key, a wrong key or a revoked key (HTTP 401)."""

    code: str = "not_authenticated"


@dataclass(eq=False)
class Forbidden(AssayError):
    """The actor is known and may not do this (HTTP 403)."""

    code: str = "forbidden"


@dataclass(eq=False)
class NotFound(AssayError):
    """Nothing goes by this name (HTTP 404)."""

    code: str = "not_found"


@dataclass(eq=False)
class TooMany(AssayError):
    """More requests than this key may send; ``retry_after`` seconds from now there is room again
    (HTTP 429).
    """

    code: str = "too_many"
    retry_after: int = 1


@dataclass(eq=False)
class NotInstalled(AssayError):
    """This installation lacks an optional part that the answer needs; asking again does not help
    (HTTP 501).
    """

    code: str = "not_installed"


@dataclass(eq=False)
class Refused(AssayError):
    """The rules forbid it as things stand; ``problems`` lists every blocker (HTTP 409)."""

    code: str = "refused"


@dataclass(eq=False)
class Conflict(AssayError):
    """Somebody was first, or the same id came with another body (HTTP 409)."""

    code: str = "conflict"

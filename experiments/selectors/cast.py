"""The people of the demo: who they are and which job each has. Never created anywhere else."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.core.types import Role


@dataclass(frozen=True)
class Member:
    """A demo user: a name to log in with, a name to read, a job."""

    username: str
    name: str
    role: Role


CAST: tuple[Member, ...] = (
    Member("olivia", "Olivia Moreno", Role.PRODUCT_OWNER),
    Member("paula", "Paula Weiss", Role.PRODUCT_OWNER),
    Member("dmitri", "Dmitri Sokolov", Role.DATA_SCIENTIST),
    Member("quinn", "Quinn Harper", Role.QA),
    Member("ada", "Ada Okafor", Role.ADMIN),
    Member("victor", "Victor Lind", Role.VIEWER),
)

PASSWORD = "demo"  # noqa: S105  # printed by the demo for everybody to see
HIRED = "member of the demo's cast"
"""The reason of the changelog's line that made a demo user."""

"""Who a rule is for, in the conditions that every GrowthBook SDK evaluates alike; the rest is for
remote evaluation.

An SDK has one map of attributes, in which ``id``, ``tenantId`` and ``sessionId`` are the units.
Published are ``$eq``, ``$ne``, ``$in``, ``$nin`` and ``$exists``, joined by ``$and``, ``$or`` and
``$not``. They agree with our own targeting as long as an attribute keeps the JSON type that its
conditions name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias, cast

from experiments.core.targeting.predicates import Condition, Op, Segment, Segments, about_ids
from experiments.core.types import JSON
from experiments.core.units import MAX_EXACT, UNIT_NAMES

Clause: TypeAlias = "dict[str, JSON]"

ATTRIBUTES: Mapping[str, str] = {"user": "id", "tenant": "tenantId", "session": "sessionId"}
"""The attribute that holds a unit's id, by unit type."""
MAX_IDS = 1000
"""Longer lists would be sent with every flag; they are looked at remotely."""
_OPERATORS: Mapping[Op, str] = {Op.EQ: "$eq", Op.NE: "$ne", Op.IN: "$in", Op.NOT_IN: "$nin"}
_PRESENCE: Mapping[Op, bool] = {Op.EXISTS: True, Op.NOT_EXISTS: False}
_EXACT = 2**53
"""Beyond this JavaScript rounds whole numbers."""
_DIGITS = len(str(-MAX_EXACT))
# What every JavaScript object has without being given it, so that "exists" holds for everybody
# there.
_INHERITED = frozenset(
    {
        *(
            "constructor",
            "hasOwnProperty",
            "isPrototypeOf",
            "propertyIsEnumerable",
            "toLocaleString",
            "toString",
            "valueOf",
        ),
        *(
            "__proto__",
            "__defineGetter__",
            "__defineSetter__",
            "__lookupGetter__",
            "__lookupSetter__",
        ),
    }
)


class RemoteOnly(Exception):
    """Why a flag cannot be evaluated by an SDK: a sentence that names no unit."""


def attribute_of(unit_type: str) -> str:
    """The attribute an SDK hashes for this unit type."""
    if unit_type not in ATTRIBUTES:
        raise RemoteOnly(f"SDKs have no attribute for units of type {unit_type}")
    return ATTRIBUTES[unit_type]


def both(clauses: Sequence[Clause]) -> Clause | None:
    """All of them; ``None`` when nothing is asked."""
    return {"$and": list(clauses)} if len(clauses) > 1 else next(iter(clauses), None)


def absent(attribute: str) -> Clause:
    """The request has no such unit; an empty id is none."""
    return {"$or": [{attribute: {"$exists": False}}, {attribute: {"$eq": ""}}]}


def about_unit(condition: Condition) -> Clause:
    """A condition on a unit's name: about the attribute that SDKs hash, else about the attribute of
    that name.
    """
    name, hashed = condition.attribute, attribute_of(UNIT_NAMES[condition.attribute])
    own = _about_id(condition, hashed)
    if name == hashed:
        return own
    present: Clause = {"$not": absent(hashed)}
    return {
        "$or": [{"$and": [present, own]}, {"$and": [absent(hashed), _about_id(condition, name)]}]
    }


def _about_id(condition: Condition, attribute: str) -> Clause:
    op = condition.op
    if op in _PRESENCE:
        return {"$not": absent(attribute)} if _PRESENCE[op] else absent(attribute)
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    ids = [value for value in values if value != ""]
    if not all(isinstance(value, str) for value in ids):
        raise RemoteOnly("its targeting compares a unit's id with a value that cannot be an id")
    listed = [form for value in ids for form in _as_sent(str(value))]
    return {attribute: {"$in" if op in (Op.EQ, Op.IN) else "$nin": listed}}


def _as_sent(identity: str) -> list[JSON]:
    """An id as applications send it: a whole number's text stands for the number too."""
    whole = (
        identity.removeprefix("-").isdecimal()
        and len(identity) <= _DIGITS
        and str(int(identity)) == identity
    )
    return [identity, int(identity)] if whole and abs(int(identity)) <= MAX_EXACT else [identity]


class Conditions:
    """Publishes rules for holders of one kind of key.

    ``public`` are the attributes that client keys are shown; ids of units are never among them.
    ``None``: a server key.
    """

    def __init__(self, segments: Segments, *, public: Collection[str] | None) -> None:
        self._segments, self._public = segments, public

    def rule(self, conditions: Sequence[Condition]) -> list[Clause]:
        """A rule's conditions, all of which must hold."""
        return [self._clause(condition) for condition in conditions]

    def listed(self, unit_type: str, ids: Collection[str]) -> Clause:
        """The request's unit of this type is one of these."""
        if self._public is not None:
            raise RemoteOnly("it depends on lists of unit ids, which client keys are not shown")
        if len(ids) > MAX_IDS:
            raise RemoteOnly(
                f"it depends on a list of {len(ids):,} unit ids; at most {MAX_IDS:,} are published"
            )
        return {attribute_of(unit_type): {"$in": [*sorted(ids)]}}

    def any_of(
        self, ids: Mapping[str, Collection[str]], rules: Sequence[Sequence[Condition]]
    ) -> list[Clause]:
        """Who is on a list or meets a rule: each clause suffices. A rule without conditions is met
        by nobody.
        """
        listed = [self.listed(unit_type, members) for unit_type, members in ids.items() if members]
        met = [both(self.rule(rule)) for rule in rules]
        return listed + [clause for clause in met if clause is not None]

    def _clause(self, condition: Condition) -> Clause:
        if condition.op in (Op.IN_SEGMENT, Op.NOT_IN_SEGMENT):
            held = self._segment(self._segments[str(condition.value)])
            return held if condition.op is Op.IN_SEGMENT else {"$not": held}
        self._refuse_private(condition)
        _refuse_unlike(condition)
        if condition.attribute in UNIT_NAMES:
            return about_unit(about_ids(condition))
        if condition.op in _PRESENCE:
            return {condition.attribute: {"$exists": _PRESENCE[condition.op]}}
        value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
        return {condition.attribute: {_OPERATORS[condition.op]: cast("JSON", value)}}

    def _refuse_private(self, condition: Condition) -> None:
        """The reason names no attribute: it is sent to browsers as well."""
        if self._public is None:
            return
        if condition.attribute in UNIT_NAMES:
            raise RemoteOnly("it depends on ids of units, which client keys may not see")
        if condition.attribute not in self._public:
            raise RemoteOnly("it depends on an attribute that is not declared public")

    def _segment(self, segment: Segment) -> Clause:
        clauses = self.any_of(segment.ids, segment.rules)
        return {"$or": list(clauses)} if clauses else {"$not": {}}


def _refuse_unlike(condition: Condition) -> None:
    """What SDKs would answer differently from each other, or from us."""
    attribute, op = condition.attribute, condition.op
    if op not in _OPERATORS and op not in _PRESENCE:
        raise RemoteOnly(f"its targeting uses {op}, on which SDKs differ")
    if "." in attribute:
        raise RemoteOnly(f"attribute {attribute} has a dot, which SDKs take for a path")
    if attribute in _INHERITED:
        raise RemoteOnly(f"every object of JavaScript has a {attribute}")
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    if any(isinstance(value, int) and abs(value) > _EXACT for value in values):
        raise RemoteOnly(f"attribute {attribute} is compared with a number that JavaScript rounds")

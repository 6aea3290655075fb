"""OpenFeature's remote evaluation (OFREP) without HTTP: what a context means, how an answer is
written, which error is which.

A context is one flat object. ``targetingKey`` is the user, ``tenantId`` and ``sessionId`` are the
other units; null and the empty string mean that there is none. Everything in it, these three
included, can be targeted. ``assayExposure`` says what is to be remembered of a single evaluation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from json.encoder import encode_basestring

from experiments.core.errors import AssayError, InvalidInput, NotFound
from experiments.core.serving.asking import Asked, asked
from experiments.core.serving.catalogue import Catalogue
from experiments.core.serving.entities import ServedFlag
from experiments.core.serving.evaluation import Served
from experiments.core.types import JSON, Environment, Reason
from experiments.core.units import VISITOR

UNIT_ATTRIBUTES: Mapping[str, str] = {
    "targetingKey": "user",
    "tenantId": "tenant",
    "sessionId": "session",
}
_FIELDS = {unit_type: f"context.{name}" for name, unit_type in UNIT_ATTRIBUTES.items()}
EXPOSURE_ATTRIBUTE = "assayExposure"
DEFAULT_VARIANT = "default"
"""Named where no variant of an experiment is served: clients need a name, and read it as an opaque
word.
"""
_LONGEST_KEY = 128
_USER = frozenset({"user", VISITOR})


class ErrorCode(StrEnum):
    """The protocol's words for what went wrong."""

    PARSE_ERROR = "PARSE_ERROR"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    GENERAL = "GENERAL"


REASONS: Mapping[Reason, str] = {
    Reason.SWITCHED_OFF: "DISABLED",
    Reason.OVERRIDE: "TARGETING_MATCH",
    Reason.EXPERIMENT: "SPLIT",
    Reason.DARK_LAUNCH: "SPLIT",
    Reason.PREVIEW: "SPLIT",
    Reason.HOLDBACK: "SPLIT",
    Reason.ROLLOUT: "TARGETING_MATCH",
    Reason.EXCLUDED: "DEFAULT",
    Reason.UNIT_MISSING: "DEFAULT",
    Reason.NOT_TARGETED: "DEFAULT",
    Reason.HOLDOUT: "DEFAULT",
    Reason.NOT_IN_EXPERIMENT: "DEFAULT",
    Reason.ARM_STOPPED: "DEFAULT",
    Reason.NOT_SERVING: "DEFAULT",
    Reason.DEFAULT: "DEFAULT",
    Reason.UNKNOWN_FLAG: "UNKNOWN",
}
"""The protocol has six words for ours; ``metadata.reason`` keeps the exact one. Never STATIC, which
a client may cache for ever.
"""


# ---------------------------------------------------------------- contexts


def context_of(document: JSON) -> dict[str, JSON]:
    """The context of a request's body: empty when none was sent; what else the body holds is the
    protocol's future.
    """
    if not isinstance(document, dict):
        raise _unfit("the body", "an object with a context", document)
    context = document.get("context")
    if context is None:
        return {}
    if not isinstance(context, dict):
        raise _unfit("context", "an object of attributes", context)
    return context


def asked_in(context: Mapping[str, JSON]) -> Asked:
    """The units that a context names, and everything in it as attributes; null and the empty string
    are no unit.
    """
    sent = {
        kind: context[name]
        for name, kind in UNIT_ATTRIBUTES.items()
        if name in context and context[name] not in (None, "")
    }
    return asked(sent, context, fields=_FIELDS)


def _unfit(path: str, wanted: str, found: JSON) -> InvalidInput:
    shown = json.dumps(found)[:64]
    return InvalidInput(
        f"{path}: expected {wanted}; found {shown}", path, code=ErrorCode.INVALID_CONTEXT
    )


# ---------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as far as it is the same for everybody it meets.

    ``head`` is JSON that lacks its end, which ``tail`` writes for a request. ``mark`` stands for
    the evaluated part in a tag: it leaves out the version, since a change that changes no answer is
    none to a client. ``failure`` is what is answered instead where the protocol wants an error.
    """

    served: Served
    head: bytes
    mark: bytes
    failure: bytes | None = None


class Book:
    """What one environment's keys are answered from one catalogue, written once per possible
    answer.

    Answers are recognised by identity, which is theirs as long as the book holds them.
    """

    def __init__(self, catalogue: Catalogue, environment: Environment) -> None:
        self.catalogue = catalogue
        self._environment = environment
        self._written: dict[int, Written] = {}
        self._versions: dict[str, str] = {}

    def written(self, served: Served) -> Written:
        """The answer as bytes."""
        found = self._written.get(id(served))
        if found is None:
            found = self._written[id(served)] = self._write(served)
        return found

    def _write(self, served: Served) -> Written:
        flag = self.catalogue.flags[served.flag or ""]
        evaluated = _evaluated(served)
        metadata = served.metadata | {
            "flagSetId": self._environment.value,
            "version": self._version(flag),
        }
        head = _json(evaluated | {"metadata": metadata})[:-2]
        mark = hashlib.blake2b(
            _json(evaluated | {"metadata": served.metadata}), digest_size=16
        ).digest()
        missing = (
            served.reason is Reason.UNIT_MISSING and _wanted_unit(flag, self._environment) in _USER
        )
        return Written(
            served,
            head,
            mark,
            _json(failure(flag.key, targeting_key_missing(flag.key))) if missing else None,
        )

    def _version(self, flag: ServedFlag) -> str:
        """Of the flag's own rules: 12 hex characters that stay while nothing about the flag
        changes.
        """
        if flag.key not in self._versions:
            self._versions[flag.key] = hashlib.sha256(repr(flag).encode()).hexdigest()[:12]
        return self._versions[flag.key]


def _evaluated(served: Served) -> dict[str, JSON]:
    return {
        "key": served.flag,
        "value": served.value,
        "reason": REASONS[served.reason],
        "variant": served.variant if served.variant is not None else DEFAULT_VARIANT,
    }


def tail(asked: Asked, stale: bool) -> bytes:
    """The end of every answer to one request: whom it is for, what could not be used, and whether
    something newer may exist.
    """
    units = asked.units
    identity = units.get("user") or units.get("tenant") or units.get("session")
    whom = b"" if identity is None else b',"contextId":' + encode_basestring(identity).encode()
    if asked.problems:
        whom += b',"unfit":' + encode_basestring(asked.unfit()).encode()
    return whom + (b',"stale":true}}' if stale else b"}}")


def etag(written: list[Written], asked: Asked) -> str:
    """The tag of a bulk answer: the same as long as the same context gets the same values, whatever
    was published meanwhile.

    A weak one: metadata in the answer may have changed, and it travels gzipped or not.
    """
    whom = tail(asked, stale=False)
    return f'W/"{hashlib.blake2b(b"".join([*(one.mark for one in written), whom]), digest_size=16).hexdigest()}"'


def _wanted_unit(flag: ServedFlag, environment: Environment) -> str | None:
    """The unit type without which the flag can only say that it is missing."""
    experiment = flag.served_to(environment)
    if experiment is not None:
        return experiment.unit_type
    return None if flag.rollout is None else flag.rollout.audience.unit_type


# ---------------------------------------------------------------- errors


def targeting_key_missing(key: str) -> InvalidInput:
    """The flag's answer depends on the user, and the context names none."""
    message = f"flag {key}: its answer depends on the user; send the user's id as targetingKey"
    return InvalidInput(message, "context.targetingKey", code=ErrorCode.TARGETING_KEY_MISSING)


def unit_unfit(key: str, asked: Asked) -> InvalidInput:
    """The flag's answer depends on a user whose id cannot be used."""
    return InvalidInput(
        f"flag {key}: its answer depends on the user; {asked.unfit()}",
        "context.targetingKey",
        code=ErrorCode.INVALID_CONTEXT,
    )


def failing(written: Written, asked: Asked) -> bytes | None:
    """What is answered where the protocol wants an error; ``None``: the value."""
    if written.failure is None or not any(
        problem.field == _FIELDS["user"] for problem in asked.problems
    ):
        return written.failure
    key = written.served.flag or ""
    return _json(failure(key, unit_unfit(key, asked)))


def flag_not_found(key: str) -> NotFound:
    """No flag of this key that the asker may see."""
    return NotFound(
        f"there is no flag {shown_key(key)!r} that this key may ask for",
        "key",
        code=ErrorCode.FLAG_NOT_FOUND,
    )


def failure(key: str, error: AssayError) -> dict[str, JSON]:
    """An error in the protocol's shape; a bulk request's key is empty."""
    return {"key": shown_key(key), "errorCode": error_code(error).value, "errorDetails": str(error)}


def error_code(error: AssayError) -> ErrorCode:
    """The protocol's word for a refusal; what has none is general, and the HTTP status says
    more.
    """
    ours = ErrorCode.PARSE_ERROR if isinstance(error, InvalidInput) else ErrorCode.GENERAL
    return next((code for code in ErrorCode if code == error.code), ours)


def shown_key(key: str) -> str:
    """A flag's key, or as much of what was asked for as could be one."""
    return key[:_LONGEST_KEY]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

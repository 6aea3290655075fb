"""The client: decides in the application's own process, as the platform would, and tells it what
happened.

No call waits for the network, except those whose names say so (``wait_ready``, ``refresh``,
``flush``, ``close``) and the first question of a process, which waits up to ``start_seconds`` for
the first catalogue. With a folder, what is told is appended to a file before the call returns. No
call raises into the application, except the constructor, for an address or a key that can be none.
What cannot be decided is the caller's default, with the reason.
"""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self, TypedDict, TypeVar, Unpack, cast

from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput
from experiments.core.serving.asking import Asked
from experiments.core.serving.assignment import Assignment, AssignmentRequest, assign, assign_all
from experiments.core.serving.entities import ServedFlag
from experiments.core.types import JSON, FlagType, Reason
from experiments.core.units import unit_id
from experiments.sdk.answers import (
    EXPLANATIONS,
    AssignedVariant,
    Evaluation,
    as_json,
    asked_of,
    assigned,
    own,
)
from experiments.sdk.endings import AT_EXIT
from experiments.sdk.files import Folder
from experiments.sdk.guard import is_new, quietly
from experiments.sdk.outbox import Collected, Counts, Outbox, Sender
from experiments.sdk.source import (
    CatalogueSource,
    FetchedCatalogue,
    FixedCatalogue,
    Snapshot,
    snapshot_of,
)
from experiments.sdk.telling import Lately, Teller
from experiments.sdk.transport import Transport

log = logging.getLogger("assay")

T = TypeVar("T")
Attributes = Mapping[str, object]
NOT_READY = "no catalogue has been fetched yet"


def _nothing() -> None:
    return None


def _no_variant() -> AssignedVariant | None:
    return None


def _no_name() -> str | None:
    return None


def _no_answers() -> list[dict[str, JSON]]:
    return []


def _unexplained() -> dict[str, JSON]:
    return {
        "reason": "error",
        "explanation": "the question could not be understood; the log says why",
    }


class About(TypedDict, total=False):
    """What the getters take beside a unit; see ``AssayClient.evaluate``."""

    units: Mapping[str, object] | None
    attributes: Attributes | None
    expose: bool


class AssayClient(Teller):
    """One per process, shared by all its threads and tasks; a forked child goes on with it.

    ``key`` is a server key. ``folder`` keeps the last catalogue for a start without the server, and
    what was told until it has arrived, so that a killed process loses nothing. An exposure of the
    same unit to the same variant is told once in ``exposure_seconds`` (0: every time). ``capacity``
    bounds the items that wait to be sent. ``start_seconds``: how long the first question of a
    process may wait for the first catalogue (0: not at all). ``catch_signals``: send what waits
    when SIGTERM or SIGHUP ends the process and no handler of yours does.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        folder: str | os.PathLike[str] | None = None,
        poll_seconds: float = 10.0,
        send_seconds: float = 5.0,
        timeout: float = 5.0,
        capacity: int = 10_000,
        exposure_seconds: float = 60.0,
        start_seconds: float = 3.0,
        catch_signals: bool = True,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        transport = Transport(url, key, timeout)
        kept = None if folder is None else Folder(folder, transport.url, key)
        source = FetchedCatalogue(transport, kept, poll_seconds)
        sender = Sender(
            transport, kept, capacity=capacity, interval=send_seconds, catch_signals=catch_signals
        )
        self._set_up(source, sender, exposure_seconds, clock, start_seconds)
        self._start()

    @classmethod
    def from_document(
        cls,
        document: str | bytes,
        *,
        outbox: Outbox | None = None,
        exposure_seconds: float = 60.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> Self:
        """A client without a server, on a catalogue at hand (as ``GET /api/v1/catalogue`` answers
        it); raises when it is none.
        """
        source = FixedCatalogue(snapshot_of(document))
        return cls.from_source(
            source, outbox or Collected(), exposure_seconds=exposure_seconds, clock=clock
        )

    @classmethod
    def from_source(
        cls,
        source: CatalogueSource,
        outbox: Outbox,
        *,
        exposure_seconds: float = 60.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> Self:
        """A client on a catalogue and an outbox of the caller's."""
        client = cls.__new__(cls)
        client._set_up(source, outbox, exposure_seconds, clock)
        return client

    def _set_up(
        self,
        source: CatalogueSource,
        outbox: Outbox,
        exposure_seconds: float,
        clock: Callable[[], datetime],
        start_seconds: float = 0.0,
    ) -> None:
        self.outbox = outbox
        self._start_seconds = start_seconds
        self._source, self._clock = source, clock
        self._exposures = Lately(exposure_seconds)
        # Also runs when the interpreter ends; it must not know the client, which would never be
        # collected.
        self._end = weakref.finalize(self, _end, source, outbox)

    def _start(self) -> None:
        """In every process anew: a forked child has no threads."""
        self._source.start()
        self.outbox.start()

    # ---------------------------------------------------------------- flags

    def get_boolean(
        self, flag: str, default: bool, unit: object = None, **about: Unpack[About]
    ) -> bool:
        """The value of a boolean flag; ``about`` as in ``evaluate``."""
        return self.evaluate(flag, FlagType.BOOLEAN, default, unit, **about).value

    def get_string(
        self, flag: str, default: str, unit: object = None, **about: Unpack[About]
    ) -> str:
        """The value of a string flag."""
        return self.evaluate(flag, FlagType.STRING, default, unit, **about).value

    def get_integer(
        self, flag: str, default: int, unit: object = None, **about: Unpack[About]
    ) -> int:
        """The value of an integer flag."""
        return self.evaluate(flag, FlagType.INTEGER, default, unit, **about).value

    def get_float(
        self, flag: str, default: float, unit: object = None, **about: Unpack[About]
    ) -> float:
        """The value of a float flag; an integer flag's is taken too."""
        return self.evaluate(flag, FlagType.FLOAT, default, unit, **about).value

    def get_object(
        self, flag: str, default: Mapping[str, JSON], unit: object = None, **about: Unpack[About]
    ) -> Mapping[str, JSON]:
        """The value of an object flag, a copy of the caller's own."""
        return self.evaluate(flag, FlagType.OBJECT, default, unit, **about).value

    def evaluate(
        self,
        flag: str,
        kind: FlagType,
        default: T,
        unit: object = None,
        *,
        units: Mapping[str, object] | None = None,
        attributes: Attributes | None = None,
        expose: bool = True,
    ) -> Evaluation[T]:
        """The flag's value with its reason.

        ``unit`` is a user's id, short for ``units={"user": …}``. ``expose``: the unit meets what it
        is answered, which is told to the platform.
        """
        try:
            return self._evaluate(flag, kind, default, asked_of(unit, units, attributes), expose)
        except InvalidInput as error:
            return Evaluation(default, "error", error="INVALID_CONTEXT", message=error.message)
        except Exception as error:
            if is_new("evaluate", error):
                log.exception("evaluate: answered with the caller's default")
            return Evaluation(default, "error", error="GENERAL", message=repr(error))

    def _evaluate(
        self, key: str, kind: FlagType, default: T, about: Asked, expose: bool
    ) -> Evaluation[T]:
        snapshot = self._snapshot()
        if snapshot is None:
            return Evaluation(default, "error", error="PROVIDER_NOT_READY", message=NOT_READY)
        flag = snapshot.catalogue.flags.get(key)
        if flag is None:
            message = f"there is no flag {str(key)[:128]!r}"
            return Evaluation(
                default, Reason.UNKNOWN_FLAG.value, error="FLAG_NOT_FOUND", message=message
            )
        if flag.type is not kind and not (flag.type is FlagType.INTEGER and kind is FlagType.FLOAT):
            message = f"flag {key} is of type {flag.type}, not {kind}"
            return Evaluation(default, "error", error="TYPE_MISMATCH", message=message)
        answer = snapshot.catalogue.evaluators(snapshot.environment)[key](
            about.units, about.attributes, self._clock()
        )
        if about.problems and answer.served.reason is Reason.UNIT_MISSING:
            return Evaluation(default, "error", error="INVALID_CONTEXT", message=about.unfit())
        if expose:
            self._expose(answer, about.units)
        return self._evaluation(answer, flag, kind, about)

    def _evaluation(
        self, answer: Assignment, flag: ServedFlag, kind: FlagType, about: Asked
    ) -> Evaluation[T]:
        served = answer.served
        value = own(served.value)
        if flag.type is not kind and isinstance(value, int):
            value = float(value)
        metadata = (
            {**served.metadata, "stale": True} if self._source.stale else dict(served.metadata)
        )
        if about.problems:
            metadata["unfit"] = about.unfit()
        return Evaluation(
            cast("T", value), served.reason.value, served.variant, served.experiment, metadata
        )

    # ---------------------------------------------------------------- experiments

    @quietly(_no_variant)
    def variant(
        self,
        experiment: str,
        unit: object = None,
        *,
        units: Mapping[str, object] | None = None,
        attributes: Attributes | None = None,
        expose: bool = True,
    ) -> AssignedVariant | None:
        """The variant of an experiment (by key or name) that the unit is served; ``None`` when it
        is served none.
        """
        about = asked_of(unit, units, attributes)
        answer = self._assign(experiment, about)
        if answer is not None and expose:
            self._expose(answer, about.units)
        return None if answer is None else assigned(answer)

    @quietly(_no_answers)
    def assign(
        self,
        unit: object = None,
        *,
        units: Mapping[str, object] | None = None,
        attributes: Attributes | None = None,
        experiments: Sequence[str] | None = None,
        expose: bool = False,
    ) -> list[dict[str, JSON]]:
        """One answer for each experiment, all that serve unless named, in the shape of ``POST
        /api/v1/assignments``.
        """
        about = asked_of(unit, units, attributes)
        answers = self._assign_several(experiments, about)
        for answer in answers if expose else ():
            self._expose(answer, about.units)
        return [as_json(answer, about.units, self._source.stale) for answer in answers]

    @quietly(_unexplained)
    def why(
        self,
        name: str,
        unit: object = None,
        *,
        units: Mapping[str, object] | None = None,
        attributes: Attributes | None = None,
    ) -> dict[str, JSON]:
        """What an experiment or flag answers to the unit, with a sentence that says why; nobody is
        exposed by it.
        """
        about = asked_of(unit, units, attributes)
        snapshot = self._snapshot()
        if snapshot is None:
            return {"reason": "error", "explanation": NOT_READY}
        by_experiment = snapshot.catalogue.experiment(name, snapshot.environment) is not None
        request = AssignmentRequest(
            experiment=name if by_experiment else None,
            flag=None if by_experiment else name,
            units=about.units,
            attributes=about.attributes,
            environment=snapshot.environment,
        )
        answer = assign(snapshot.catalogue, request, self._clock())
        facts: dict[str, JSON] = {
            "explanation": EXPLANATIONS[answer.served.reason],
            "catalogue": snapshot.catalogue.version,
        }
        if about.problems:
            facts["unfit"] = about.unfit()
        return as_json(answer, about.units, self._source.stale) | facts

    @quietly(_no_name)
    def rolled_out(self, experiment: str) -> str | None:
        """The key of the variant that the experiment's promotion left on its flag; ``None`` when it
        left none.
        """
        snapshot = self._snapshot()
        entry = (
            None
            if snapshot is None
            else snapshot.catalogue.experiment(experiment, snapshot.environment)
        )
        rollout = None if entry is None else entry.flag.rollout
        return (
            None
            if entry is None or rollout is None or rollout.experiment != entry.key
            else rollout.variant.key
        )

    @quietly(bool)
    def serves(self, experiment: str) -> bool:
        """Whether the experiment decides now, in the catalogue at hand."""
        snapshot = self._snapshot()
        entry = (
            None
            if snapshot is None
            else snapshot.catalogue.experiment(experiment, snapshot.environment)
        )
        return entry is not None and entry.experiment is not None

    def _assign(self, experiment: str, about: Asked) -> Assignment | None:
        snapshot = self._snapshot()
        entry = (
            None
            if snapshot is None
            else snapshot.catalogue.experiment(experiment, snapshot.environment)
        )
        return (
            None if entry is None else entry.evaluate(about.units, about.attributes, self._clock())
        )

    def _assign_several(self, names: Sequence[str] | None, about: Asked) -> Sequence[Assignment]:
        snapshot = self._snapshot()
        if snapshot is None:
            return ()
        if names is None:
            return assign_all(
                snapshot.catalogue,
                about.units,
                about.attributes,
                self._clock(),
                snapshot.environment,
            )
        return [answer for name in names if (answer := self._assign(name, about)) is not None]

    def _snapshot(self) -> Snapshot | None:
        self._start()
        return self._source.snapshot or self._source.first(self._start_seconds)

    # ---------------------------------------------------------------- what happened

    @quietly(bool)
    def expose(
        self,
        experiment: str,
        unit: object = None,
        *,
        units: Mapping[str, object] | None = None,
        attributes: Attributes | None = None,
    ) -> bool:
        """Tell that the unit meets its variant now, for those who asked before with
        ``expose=False``; whether there was one.
        """
        about = asked_of(unit, units, attributes)
        answer = self._assign(experiment, about)
        return answer is not None and self._expose(answer, about.units)

    def _refusal(self, units: Mapping[str, str], experiment: object) -> str:
        snapshot = self._source.snapshot
        if snapshot is None or experiment is None:
            return ""
        entry = snapshot.catalogue.experiment(str(experiment), snapshot.environment)
        if (
            entry is None
            or entry.experiment is None
            or unit_id(units, entry.experiment.unit_type) is not None
        ):
            return ""
        wanted, named = entry.experiment.unit_type, ", ".join(sorted(units)) or "nobody"
        return f"experiment {entry.key} is randomised by {wanted}, and the call names {named}"

    def _expose(self, answer: Assignment, units: Mapping[str, str]) -> bool:
        """An exposure names the arm that owns the unit's bucket: in a shadow dark launch that is
        not the served one.
        """
        served = answer.served
        if served.variant is None or served.iteration_id is None:
            return False
        met = (served.iteration_id, served.variant_id, answer.unit_id)
        if not self._exposures.is_new(met):
            return True
        arm = served.metadata.get("treatment", served.variant)
        iteration = served.metadata.get("iteration")
        told = self.tell(
            "exposures", None, units, experiment=served.experiment, variant=arm, iteration=iteration
        )
        if not told:
            self._exposures.forget(met)
        return told

    # ---------------------------------------------------------------- waiting

    @property
    def counts(self) -> Counts:
        """How many items wait, were sent, dropped and rejected in this process."""
        return self.outbox.counts

    @property
    def version(self) -> int:
        """The catalogue's version; 0 before there is one."""
        snapshot = self._source.snapshot
        return 0 if snapshot is None else snapshot.catalogue.version

    @property
    def stale(self) -> bool:
        """Whether something newer may have been published without our hearing of it."""
        return self._source.stale

    @quietly(bool)
    def wait_ready(self, timeout: float = 5.0) -> bool:
        """Whether there is a catalogue to decide by, waiting for the first one."""
        return self._source.wait(timeout)

    @quietly(bool)
    def refresh(self) -> bool:
        """Fetch the catalogue now; whether the server answered with a usable one."""
        return self._source.refresh()

    @quietly(bool)
    def flush(self, timeout: float = 10.0) -> bool:
        """Send what waits now, repeating until the time is over; whether nothing waits any more."""
        return self.outbox.flush(timeout)

    @quietly(_nothing)
    def close(self) -> None:
        """Send what waits, leave the rest in the folder, and end the threads; evaluation goes on
        with what is known.
        """
        self._end()

    async def await_ready(self, timeout: float = 5.0) -> bool:
        """``wait_ready`` without blocking the event loop."""
        return await asyncio.to_thread(self.wait_ready, timeout)

    async def arefresh(self) -> bool:
        """``refresh`` without blocking the event loop."""
        return await asyncio.to_thread(self.refresh)

    async def aflush(self, timeout: float = 10.0) -> bool:
        """``flush`` without blocking the event loop."""
        return await asyncio.to_thread(self.flush, timeout)

    async def aclose(self) -> None:
        """``close`` without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _end(source: CatalogueSource, outbox: Outbox) -> None:
    source.end()
    outbox.close(AT_EXIT)

"""What an application tells of its units: events, observations, the time something took."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from experiments.sdk import forks
from experiments.sdk.answers import asked_of
from experiments.sdk.guard import quietly
from experiments.sdk.outbox import Outbox
from experiments.sdk.writing import written

log = logging.getLogger("assay")

_REMEMBERED = 10_000
"""Exposures that are remembered so as not to be told twice."""


class Teller:
    """Puts what it is told into an outbox; nothing here waits or raises."""

    outbox: Outbox
    _clock: Callable[[], datetime]

    def _start(self) -> None:
        """Begin to send in the background, in this process."""
        self.outbox.start()

    def _refusal(self, units: Mapping[str, str], experiment: object) -> str:
        """Why the platform would refuse what is told of these units, as far as it can be known
        here; empty when it would not.
        """
        return ""

    @quietly(bool)
    def track(
        self,
        event_type: str,
        unit: object = None,
        *,
        units: Mapping[str, object] | None = None,
        **fields: object,
    ) -> bool:
        """Tell an event with what ``POST /api/v1/events`` takes: ``value``, ``payload``,
        ``cost_micro``, ``experiment``, …
        """
        return self.tell("events", unit, units, event_type=event_type, **fields)

    @quietly(bool)
    def observe(
        self,
        metric: str,
        value: float,
        unit: object = None,
        *,
        units: Mapping[str, object] | None = None,
        **fields: object,
    ) -> bool:
        """Tell a measured value of a metric, as ``POST /api/v1/observations`` takes it."""
        return self.tell("observations", unit, units, metric=metric, value=value, **fields)

    @contextmanager
    def timed(
        self,
        event_type: str,
        unit: object = None,
        *,
        units: Mapping[str, object] | None = None,
        **fields: object,
    ) -> Iterator[dict[str, object]]:
        """Tell an event with the milliseconds that the block took; what is put into the yielded
        dict goes along with it.
        """
        more: dict[str, object] = dict(fields)
        began = time.perf_counter()
        try:
            yield more
        finally:
            self.tell(
                "events",
                unit,
                units,
                event_type=event_type,
                **{**more, "latency_ms": round((time.perf_counter() - began) * 1000, 3)},
            )

    @quietly(bool)
    def tell(
        self,
        kind: str,
        unit: object = None,
        units: Mapping[str, object] | None = None,
        **fields: object,
    ) -> bool:
        """Put an item with an id and the moment into the outbox; whether it was taken. Fields that
        are ``None`` are left out.

        Decimals, dates, moments and UUIDs are written as JSON holds them (see ``writing``). A
        ``timestamp`` among the fields is when it happened, instead of now.
        """
        self._start()
        about = asked_of(unit, units)
        about.refuse_nobody()
        named = about.units
        refusal = self._refusal(named, fields.get("experiment"))
        if refusal:
            log.warning("not sent: %s", refusal)
            return False
        item: dict[str, object] = {
            "event_id": uuid.uuid4().hex,
            "timestamp": self._clock().isoformat(),
        }
        if named:
            item["units"] = named
        item.update(written(fields))
        return self.outbox.put(kind, item)


class Lately:
    """Which exposures were told lately; bounded, the oldest forgotten first."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: OrderedDict[object, float] = OrderedDict()
        self.after_fork()
        forks.watch(self)

    def after_fork(self) -> None:
        self._lock = threading.Lock()

    def is_new(self, exposure: object) -> bool:
        now = time.monotonic()
        with self._lock:
            if self._until.get(exposure, 0.0) > now:
                return False
            self._until[exposure] = now + self._seconds
            self._until.move_to_end(exposure)
            while len(self._until) > _REMEMBERED:
                self._until.popitem(last=False)
            return True

    def forget(self, exposure: object) -> None:
        """It was not taken, so it is new again."""
        with self._lock:
            self._until.pop(exposure, None)

from __future__ import annotations

import pytest

from experiments.core.types import PauseCause, Status
from experiments.core.urgency import WORDS, Signals, Urgency, urgency

RUNNING = Status.RUNNING


@pytest.mark.parametrize(
    ("signals", "found"),
    [
        (Signals(RUNNING, breach=True, advice="promote"), Urgency.HARM),
        (Signals(Status.PAUSED, PauseCause.HARM), Urgency.HARM),
        (Signals(RUNNING, advice="stop"), Urgency.HARM),
        (Signals(RUNNING, advice="promote", days_left=1), Urgency.PROMOTE),
        (Signals(RUNNING, advice="promote", masked=True), Urgency.UNHEALTHY),
        (Signals(RUNNING, advice="escalate"), Urgency.PERSON),
        (Signals(RUNNING, advice="conclude"), Urgency.PERSON),
        (Signals(RUNNING, failed=True), Urgency.UNHEALTHY),
        (Signals(RUNNING, hours=25, units=0), Urgency.UNHEALTHY),
        (Signals(RUNNING, hours=25), Urgency.UNHEALTHY),
        (Signals(RUNNING, hours=23), Urgency.RUNNING),
        (Signals(Status.PAUSED, hours=90), Urgency.RUNNING),
        (Signals(Status.DARK_LAUNCH), Urgency.SIGN_OFF),
        (Signals(Status.DRAFT, requested=True), Urgency.SIGN_OFF),
        (Signals(RUNNING, days_left=3, units=5), Urgency.ENDS_SOON),
        (Signals(RUNNING, days_left=4, units=5), Urgency.RUNNING),
        (Signals(Status.DRAFT), Urgency.DRAFT),
        (Signals(Status.COMPLETED, breach=True), Urgency.ENDED),
        (Signals(Status.ARCHIVED), Urgency.ARCHIVED),
    ],
)
def test_urgency__first_reason_that_applies(signals: Signals, found: Urgency) -> None:
    assert urgency(signals) is found


def test_urgency__each_rank_has_a_word_of_its_own() -> None:
    assert set(WORDS) == set(Urgency)
    assert len(set(WORDS.values())) == len(WORDS)

"""A tick belongs to whoever inserts its row first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from experiments.models import ClaimedSlot
from experiments.services.ground.slots import claim, forget_old_slots, slot_of

NOW = datetime(2026, 3, 2, 12, 0, 17, tzinfo=UTC)


@pytest.mark.django_db
def test_claim__second_time__says_no() -> None:
    assert claim(NOW, task="analyse_due", slot="1")
    assert not claim(NOW, task="analyse_due", slot="1")
    assert claim(NOW, task="analyse_due", slot="2")


@pytest.mark.django_db(transaction=True)
def test_claim__eight_at_once__one_gets_it() -> None:
    def attempt(_: int) -> bool:
        try:
            return claim(NOW, task="decide_due", slot="race")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, range(8)))
    assert won.count(True) == 1


def test_slot_of__moments_of_one_interval__share_a_name() -> None:
    assert slot_of(NOW, seconds=30) == slot_of(NOW - timedelta(seconds=17), seconds=30)
    assert slot_of(NOW, seconds=30) != slot_of(NOW + timedelta(seconds=13), seconds=30)


@pytest.mark.django_db
def test_forget_old_slots__old_and_new__keeps_the_new() -> None:
    claim(NOW - timedelta(days=4), task="t", slot="old")
    claim(NOW, task="t", slot="new")
    forget_old_slots(NOW)
    assert list(ClaimedSlot.objects.values_list("slot", flat=True)) == ["new"]

"""How long a login waits: longer with each failure, bounded, and never for an address that the
account uses.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from experiments.core.login_waits import ACCOUNT, ADDRESS, FORGOTTEN, PAIR, Counted, wait

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
PAIR_OF = "pair:olga|203.0.113.9"


def after(**counted: Counted) -> float:
    names = {"account": "account:olga", "address": "address:203.0.113.9", "pair": PAIR_OF}
    return wait("olga", "203.0.113.9", {names[name]: found for name, found in counted.items()}, NOW)


def test_free_failures__do_not_wait():
    assert (
        after(
            pair=Counted(PAIR.free - 1, NOW),
            account=Counted(ACCOUNT.free - 1, NOW),
            address=Counted(ADDRESS.free - 1, NOW),
        )
        == 0
    )


def test_each_further_failure__doubles_the_wait_up_to_its_bound():
    waits = [after(pair=Counted(PAIR.free + more, NOW)) for more in (0, 1, 2, 3, 50)]
    assert waits == [1, 2, 4, 8, PAIR.longest]


def test_time__counts_and_a_day_forgets():
    assert after(pair=Counted(PAIR.free + 3, NOW - timedelta(seconds=5))) == 3
    assert after(pair=Counted(500, NOW - FORGOTTEN - timedelta(seconds=1))) == 0


def test_failures_from_elsewhere__do_not_hold_up_an_address_that_the_account_uses():
    stormed = Counted(10_000, NOW)
    assert after(account=stormed) == ACCOUNT.longest
    assert after(account=stormed, pair=Counted(0, NOW, known=True)) == 0


def test_known_address__waits_for_its_own_failures_all_the_same():
    assert after(pair=Counted(PAIR.free + 2, NOW, known=True)) == 4

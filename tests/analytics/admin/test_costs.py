"""Costs on the experiment's page, and the price table in the workplace."""

from __future__ import annotations

from analytics.models import ModelPrice
from experiments.models import ChangeLogEntry
from tests.analytics.services.importing.test_costs import metered
from tests.experiments.admin.conftest import page

ADD = "/admin/analytics/modelprice/add/"


def test_cost_tab__arms_models_and_the_budget(browser):
    w = metered(budget=3000)
    text = browser("victor").get(page(w.experiment) + "?tab=cost").content.decode()
    assert "nothing left" in text
    assert "1 call without a price" in text
    assert "0.004 USD" in text
    assert "50.0 %" in text


def test_cost_tab__of_a_draft__says_that_nothing_was_spent(browser, draft):
    assert (
        "Nothing was spent yet" in browser("victor").get(page(draft) + "?tab=cost").content.decode()
    )


def test_prices__added_by_a_data_scientist__with_a_line_in_the_history(browser):
    client = browser("dmitri")
    answer = client.post(
        ADD,
        {"lines": "big,2026-01-01,2,10\nsmall,2026-01-01,0.1,0.4", "reason": "list of January"},
        follow=True,
    )
    assert answer.status_code == 200
    assert ModelPrice.objects.count() == 2
    assert (
        ChangeLogEntry.objects.filter(action="model_price_set", reason="list of January").count()
        == 2
    )
    assert "small" in client.get("/admin/analytics/modelprice/").content.decode()


def test_prices__a_bad_line_is_shown_again__and_others_read_only(browser):
    assert (
        "line 2: price_in"
        in browser("dmitri")
        .post(ADD, {"lines": "big,2026-01-01,free,10", "reason": ""})
        .content.decode()
    )
    assert browser("victor").post(ADD, {"lines": "big,2026-01-01,2,10"}).status_code == 403
    assert browser("victor").get("/admin/analytics/modelprice/").status_code == 200
    assert not ModelPrice.objects.exists()

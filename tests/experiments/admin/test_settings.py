"""The settings tab: the policy in words, the team, amendments."""

from __future__ import annotations

from experiments.admin.settings_section import in_words
from experiments.core.design.policies import PolicyRules, Window
from experiments.models import ChangeLogEntry
from tests.experiments.admin.conftest import page, url


def test_team__somebody_added__may_edit_until_removed(browser, draft, people):
    olivia, paula = browser("olivia"), browser("paula")
    assert "Save the draft" not in paula.get(url(draft, "edit")).content.decode()
    text = olivia.post(
        url(draft, "team"), {"add": people["paula"].pk}, follow=True
    ).content.decode()
    assert "The team is changed." in text and 'aria-label="Remove paula"' in text
    assert "Save the draft" in paula.get(url(draft, "edit")).content.decode()
    olivia.post(url(draft, "team"), {"add": people["quinn"].pk})
    assert draft.collaborators.count() == 2
    olivia.post(url(draft, "team"), {"remove": people["paula"].pk})
    assert [one.username for one in draft.collaborators.all()] == ["quinn"]
    assert ChangeLogEntry.objects.filter(action="experiment_edited", experiment=draft).count() == 3


def test_team__nobody_or_an_account_that_is_none__changes_nothing(browser, draft):
    olivia = browser("olivia")
    for wrong in ("999999", "x"):
        olivia.post(url(draft, "team"), {"add": wrong})
        assert draft.collaborators.count() == 0


def test_settings__of_a_viewer__has_no_form(browser, draft):
    text = browser("victor").get(page(draft, "settings")).content.decode()
    assert "Add to the team" not in text and "It is not launched yet" in text


def test_policy__in_words() -> None:
    words = in_words(
        PolicyRules(
            min_control=50, min_test=50, max_test=200, weeks=2, dark_launch=True, holdback=50
        )
    )
    assert "Control at least 5 % of all units, each test arm 5 % to 20 %." in words
    assert "A decision needs 2 complete weeks: every weekday so often." in words
    assert "Monday, Tuesday, Wednesday, Thursday from 10 to 16" in words[4]
    assert (
        in_words(PolicyRules(window=Window(always=True)))[-1]
        == "A winner may be promoted by itself at any time."
    )

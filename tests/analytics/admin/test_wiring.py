"""The wiring tab: lines to paste, what was seen, and the tail as each person may read it."""

from __future__ import annotations

from datetime import timedelta

from analytics.models import AiEvent, RefusedItem, SeenAssignment, TailWatch
from analytics.selectors.arriving.tail import MOST_ROWS
from analytics.services.ingest import partitions
from experiments.core.clock import utc_now
from experiments.models import ChangeLogEntry
from tests.analytics.stores.observed import crowd, world
from tests.experiments.admin.conftest import page


def _answered(draft, environment="production", unit="user-1234"):
    SeenAssignment.objects.create(
        at=utc_now(),
        environment=environment,
        flag=draft.flag_id,
        experiment_key=draft.key,
        variant="friendly",
        reason="experiment",
        unit_id=unit,
    )


def test_wiring__lines_to_paste__name_this_flag_and_show_no_key(browser, draft):
    text = browser("victor").get(page(draft, "wiring")).content.decode()
    assert text.count(draft.flag_id) >= 5
    assert "assay_server_…" in text
    assert "Make a key" not in text
    assert "Make a key" in browser("ada").get(page(draft, "wiring")).content.decode()


def test_wiring__what_was_seen_and_what_never(browser, draft):
    event = draft.planned_metrics.select_related("metric").first().metric.event_types[0]
    olivia = browser("olivia")
    before = olivia.get(page(draft, "wiring")).content.decode()
    assert f"<code>{event}</code>" in before and before.count('aria-label="seen"') == 0
    _answered(draft)
    text = olivia.get(page(draft, "wiring")).content.decode()
    assert text.count('aria-label="seen"') == 1


def test_tail__raw_ids_for_a_data_scientist_logged__a_hash_for_others(browser, draft):
    _answered(draft)
    RefusedItem.objects.create(
        at=utc_now(),
        kind="event",
        environment="production",
        experiment=draft,
        code="too_old",
        message="older than a week",
        unit_id="user-77",
    )
    url = f"/admin/experiments/experiment/{draft.pk}/tail/"
    hidden = browser("olivia").get(url).content.decode()
    assert "user-1234" not in hidden and "user-77" not in hidden and "#" in hidden
    assert "refused" in hidden and "older than a week" in hidden
    assert not ChangeLogEntry.objects.filter(action="raw_rows_read").exists()
    dmitri, ada = browser("dmitri"), browser("ada")
    assert "user-1234" in dmitri.get(url).content.decode()
    dmitri.get(url)
    ada.get(url)
    assert ChangeLogEntry.objects.filter(action="raw_rows_read").count() == 2
    assert TailWatch.objects.filter(subject=draft.key).count() == 3


def test_tail__test_keys_traffic__is_apart_and_marked(browser, draft):
    _answered(draft, "test", "tester-1")
    dmitri = browser("dmitri")
    assert "tester-1" not in dmitri.get(page(draft, "wiring")).content.decode()
    text = dmitri.get(page(draft, "wiring") + "&environment=test").content.decode()
    assert "tester-1" in text and "test keys" in text


def test_wiring__an_event_of_yesterday_counts__one_of_last_week_does_not(browser, draft):
    event = draft.planned_metrics.select_related("metric").first().metric.event_types[0]
    now = utc_now()
    for days in (9, 1):
        at = now - timedelta(days=days)
        partitions.ensure_days("ai_events", {at.date()})
        AiEvent.objects.create(
            event_id=f"e{days}", event_date=at.date(), ts=at, received_ts=at, environment="production", experiment_id=draft.pk,
            event_type=event, user_id="u1", unit_type="user", units={"user": "u1"},
        )  # fmt: skip
        text = browser("olivia").get(page(draft, "wiring")).content.decode()
        assert text.count('aria-label="seen"') == (days == 1)


def test_tail__for_somebody_without_a_job__is_refused(client, draft, django_user_model):
    client.force_login(django_user_model.objects.create_user("drifter", is_staff=True))
    assert client.get(f"/admin/experiments/experiment/{draft.pk}/tail/").status_code == 403


def _marks(browser, experiment) -> tuple[str, list[str]]:
    """The list of the wiring tab, and its marks by what each of its lines is about."""
    text = browser("olivia").get(page(experiment, "wiring")).content.decode()
    lines = text.partition('<ul class="as-checks">')[2].partition("</ul>")[0]
    return lines, [
        line.partition('aria-label="')[2].partition('"')[0] for line in lines.split("<li>")[1:]
    ]


def test_wiring__exposures_came_while_nobody_looked__their_answers_were_given(browser, draft):
    w = world("exposed_unseen")
    assert _marks(browser, w.experiment)[1][:2] == ["not seen", "not seen"]
    crowd(w, "control", 2, utc_now() - timedelta(hours=3))
    lines, marks = _marks(browser, w.experiment)
    assert marks[:2] == ["seen", "seen"]
    assert "given 3 hours ago at the latest, as the exposure shows" in lines


def test_wiring__more_refusals_than_the_tail_has_rows__hide_no_exposure(browser, draft):
    w = world("much_refused")
    crowd(w, "control", 2, utc_now() - timedelta(hours=3))
    RefusedItem.objects.bulk_create(
        RefusedItem(
            at=utc_now(),
            kind="event",
            environment="production",
            experiment=w.experiment,
            code="too_old",
            unit_id=f"u{n}",
        )
        for n in range(MOST_ROWS)
    )
    assert _marks(browser, w.experiment)[1][:2] == ["seen", "seen"]


def test_wiring__an_event_of_a_clock_that_is_ahead__came_just_now(browser, draft):
    event = draft.planned_metrics.select_related("metric").first().metric.event_types[0]
    at = utc_now() + timedelta(seconds=40)
    partitions.ensure_days("ai_events", {at.date()})
    AiEvent.objects.create(
        event_id="ahead", event_date=at.date(), ts=at, received_ts=utc_now(), environment="production", experiment_id=draft.pk,
        event_type=event, user_id="u1", unit_type="user", units={"user": "u1"},
    )  # fmt: skip
    lines, _ = _marks(browser, draft)
    assert "seen just now, 1 in two days" in lines

"""Publishing and serving: one document, in memory and in files, through a dead database."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError, transaction

from experiments.core.errors import AssayError
from experiments.core.serving.assignment import AssignmentRequest, assign
from experiments.core.types import Environment, Reason, Status
from experiments.models import ExcludedUnit, ExclusionList, Flag, Override, Rollout, ServingDocument
from experiments.selectors import keys, serving, serving_files
from experiments.services.ground import publishing
from tests.serving_cast import NOW, experiment, launched, owner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_catalogue")]


@pytest.fixture
def dead_database(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OperationalError("connection refused")

    def die():
        monkeypatch.setattr(serving, "_newest", refuse)

    return die


def _answer(key="checkout", unit="u1", environment=Environment.PRODUCTION, now=NOW):
    return assign(
        serving.current().catalogue,
        AssignmentRequest(experiment=key, units={"user": unit}, environment=environment),
        now,
    )


def test_publish__running_experiment__is_assigned_from_memory(django_assert_num_queries):
    launched("checkout")
    published = publishing.publish(NOW, reason="started")
    serving.refresh(NOW)
    with django_assert_num_queries(0):
        answer = _answer()
    assert answer.served.reason is Reason.EXPERIMENT
    assert serving.current().version == published.version == 1


def test_publish__nothing_changed__makes_no_new_version():
    launched("checkout")
    first = publishing.publish(NOW, reason="started")
    assert publishing.publish(NOW + timedelta(hours=1), reason="again") == first
    Flag.objects.update(enabled=False)
    assert (
        publishing.publish(NOW + timedelta(hours=2), reason="switched off").version
        == first.version + 1
    )


def test_publish__rolled_back__is_never_served():
    launched("checkout")
    with pytest.raises(RuntimeError), transaction.atomic():
        publishing.publish(NOW, reason="started")
        raise RuntimeError
    assert serving.refresh(NOW).version == 0
    assert not ServingDocument.objects.exists()


def test_publish__in_a_transaction_that_commits__is_served_by_this_process_at_once(
    django_capture_on_commit_callbacks,
):
    launched("checkout")
    with django_capture_on_commit_callbacks(execute=True):
        publishing.publish(NOW, reason="started")
    assert _answer().served.variant in {"control", "treatment"}


def test_publish__paused_experiment__serves_the_default():
    launched("checkout", status=Status.PAUSED)
    publishing.publish(NOW, reason="paused")
    serving.refresh(NOW)
    answer = _answer()
    assert (answer.served.reason, answer.served.variant, answer.served.flag) == (
        Reason.NOT_SERVING,
        None,
        "checkout",
    )


def test_publish__draft__is_shown_to_test_keys_alone_and_at_full_share():
    experiment("checkout", status=Status.DRAFT)
    publishing.publish(NOW, reason="drafted")
    serving.refresh(NOW)
    variants = [
        _answer(unit=f"u{i}", environment=Environment.TEST).served.variant for i in range(400)
    ]
    assert set(variants) == {"control", "treatment"}
    assert 150 < variants.count("control") < 250
    assert _answer().served.reason is Reason.NOT_SERVING


def test_publish__draft_that_cannot_be_served__leaves_the_others_in_peace():
    launched("checkout")
    broken = experiment("broken", status=Status.DRAFT)
    broken.variants.filter(key="control").update(weight=100)
    boolean = experiment("boolean", status=Status.DRAFT)
    Flag.objects.filter(key=boolean.flag_id).update(value_type="boolean", default_value=False)
    publishing.publish(NOW, reason="drafted")
    state = serving.refresh(NOW)
    assert not state.stale
    assert _answer("broken", environment=Environment.TEST).served.reason is Reason.NOT_SERVING
    assert _answer("boolean", environment=Environment.TEST).served.reason is Reason.NOT_SERVING
    assert _answer().served.variant is not None


def test_publish__override_and_exclusion__come_before_the_bucket():
    made = launched("checkout")
    treatment = made.variants.get(key="treatment")
    Override.objects.create(
        experiment=made,
        variant=treatment,
        unit_id="tester",
        expires_at=NOW + timedelta(hours=1),
        created_by=owner(),
        created_at=NOW,
    )
    staff = ExclusionList.objects.create(name="staff", created_at=NOW)
    ExcludedUnit.objects.create(exclusion_list=staff, unit_id="boss")
    publishing.publish(NOW, reason="audience")
    serving.refresh(NOW)
    assert _answer(unit="tester").served.reason is Reason.OVERRIDE
    assert _answer(unit="boss").served.reason is Reason.EXCLUDED
    assert _answer(unit="tester", now=NOW + timedelta(hours=2)).served.reason is not Reason.OVERRIDE


def test_publish__rollout__outlives_its_experiment():
    made = launched("checkout", status=Status.COMPLETED)
    iteration = made.iterations.get()
    Rollout.objects.create(
        flag=made.flag,
        experiment=made,
        iteration=iteration,
        variant=made.variants.get(key="treatment"),
        value=None,
        config={"boost": 2},
        audience={
            "unit_type": "user",
            "seed": iteration.layer.seed,
            "targeting": [],
            "buckets": None,
        },
        holdback_buckets=list(range(50)),
        returnable_until=NOW,
        created_at=NOW,
    )
    publishing.publish(NOW, reason="promoted")
    serving.refresh(NOW)
    reasons = {_answer(unit=f"u{i}").served.reason for i in range(200)}
    assert reasons == {Reason.ROLLOUT, Reason.HOLDBACK}


def test_refresh__database_dead__answers_stay_the_same_and_say_stale(dead_database):
    launched("checkout")
    publishing.publish(NOW, reason="started")
    serving.refresh(NOW)
    before = [_answer(unit=f"u{i}") for i in range(50)]
    dead_database()
    state = serving.refresh(NOW)
    assert state.stale
    assert [_answer(unit=f"u{i}") for i in range(50)] == before


def test_current__cold_start_with_a_dead_database__reads_the_files(dead_database):
    launched("checkout")
    publishing.publish(NOW, reason="started")
    before = (serving.refresh(NOW).version, _answer())
    serving.forget()
    dead_database()
    assert (serving.current().version, _answer()) == before
    assert serving.current().stale


def test_current__file_tampered_with__is_not_served(dead_database):
    launched("checkout")
    publishing.publish(NOW, reason="started")
    serving.refresh(NOW)
    path = serving_files.path_of(serving.CATALOGUE)
    path.write_text(path.read_text().replace("treatment", "treatmenz"))
    serving.forget()
    dead_database()
    assert serving.current().version == 0


def test_keyring_file__is_readable_by_its_owner_alone():
    publishing.publish_keyring(NOW)
    serving.refresh(NOW)
    assert serving_files.path_of(serving.KEYRING).stat().st_mode & 0o777 == 0o600


def test_authenticate__nothing_ever_read__says_that_it_cannot_know(dead_database):
    dead_database()
    with pytest.raises(AssayError) as refusal:
        keys.authenticate("assay_server_0123456789ab_00")
    assert refusal.value.code == "not_available"


def test_refresh__document_of_an_unknown_schema__keeps_the_last_good():
    launched("checkout")
    publishing.publish(NOW, reason="started")
    serving.refresh(NOW)
    ServingDocument.objects.create(
        kind="catalogue", version=2, sha256="0" * 64, body='{"schema": 99}', built_at=NOW
    )
    state = serving.refresh(NOW)
    assert (state.version, state.stale) == (1, True)
    assert _answer().served.variant is not None


def test_refresh__restored_backup__the_database_wins():
    launched("checkout")
    publishing.publish(NOW, reason="started")
    serving.refresh(NOW)
    Flag.objects.update(enabled=False)
    ServingDocument.objects.all().delete()
    publishing.publish(NOW, reason="restored")
    assert serving.refresh(NOW).version == 1
    assert _answer().served.reason is Reason.SWITCHED_OFF


def test_refresh__nothing_new__asks_one_small_question(django_assert_num_queries):
    launched("checkout")
    publishing.publish(NOW, reason="started")
    serving.refresh(NOW)
    with django_assert_num_queries(1):
        serving.refresh(NOW)


@pytest.mark.parametrize("spoken", [True, False])
def test_start__postgresql_has_answered__its_document_is_waited_for__else_the_files_serve(
    monkeypatch, spoken
):
    read_files, heard = [], threading.Event()

    def poll(clock, answered):
        if spoken:
            heard.set()
        time.sleep(0.3)
        answered.set()

    monkeypatch.setattr(serving, "_poller", None)
    monkeypatch.setattr(serving, "_spoken_to", heard)
    monkeypatch.setattr(serving, "_FIRST_ANSWER", 0.1)
    monkeypatch.setattr(serving, "_poll_for_ever", poll)
    monkeypatch.setattr(serving, "_serve_files", read_files.append)
    serving.start_polling()
    assert len(read_files) == (0 if spoken else 1)

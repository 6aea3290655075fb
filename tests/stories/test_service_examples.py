"""The example services against a live installation: what users see, and what Assay then knows."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from examples.assistant.app import DEFAULTS, FALLBACK, Completion, assistant, echo
from examples.recommender.app import FILMS, recommender
from examples.retraining.app import retrain_due
from experiments.sdk import AssayClient
from tests.live import Live, live  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
USERS = [f"viewer-{number}" for number in range(60)]


def call(
    app: Any, method: str, path: str, body: dict[str, Any] | None = None, query: str = ""
) -> tuple[str, Any]:
    sent = json.dumps(body or {}).encode()
    status: list[str] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(sent)),
    }
    answer = app(
        {**environ, "wsgi.input": io.BytesIO(sent)}, lambda line, headers: status.append(line)
    )
    return status[0], json.loads(b"".join(answer))


@pytest.fixture
def assay(live: Live) -> Iterator[AssayClient]:
    if not live.sql("SELECT 1 FROM flags WHERE key = 'examples_open'"):
        live.flag("examples_open")  # before the first flag there is no catalogue
        live.settle()
    with AssayClient(live.url, live.keys["server"], poll_seconds=0.2, send_seconds=0.1) as client:
        assert client.wait_ready(10)
        yield client


def test_recommender__printed_call__assigns_exposes_once_and_labels_each_result(
    live: Live, assay: AssayClient
) -> None:
    arms = [
        {"name": "control", "weight": 0.5, "config": {"boost": 0.0}},
        {"name": "treatment", "weight": 0.5, "config": {"boost": 5.0}},
    ]
    live.experiment("lora_boost_test", variants=arms)
    live.settle()
    assert assay.refresh()
    app = recommender(assay)
    answers = [
        call(app, "POST", "/api/v1/recommendations", {"user_id": user})[1]
        for user in USERS + USERS[:10]
    ]
    shown = {one["user_id"]: one["recommendations"] for one in answers}
    labels = {results[0]["experiment_variant"] for results in shown.values()}
    assert labels == {"lora_boost_test:control", "lora_boost_test:treatment"}
    firsts = {
        label: {r[0]["title"] for r in shown.values() if r[0]["experiment_variant"] == label}
        for label in labels
    }
    assert firsts["lora_boost_test:control"] == {"Stalker"} < firsts["lora_boost_test:treatment"]
    assert all(
        len({one["experiment_variant"] for one in results}) == 1 and len(results) == len(FILMS)
        for results in shown.values()
    )
    watched = {"user_id": USERS[0], "title": "Stalker", "completed": True}
    assert call(app, "POST", "/api/v1/watched", watched)[1] == {"taken": True}
    assert assay.flush()
    stored = dict(
        live.sql(
            "SELECT a.user_id, v.key FROM experiment_assignments a JOIN experiment_variants v USING (variant_id)"
            " JOIN experiments e ON e.experiment_id = a.experiment_id WHERE e.key = %s",
            "lora_boost_test",
        )
    )
    assert stored == {
        user: results[0]["experiment_variant"].split(":")[1] for user, results in shown.items()
    }
    assert live.sql(
        "SELECT payload->>'title' FROM ai_events WHERE event_type = 'recommendation_click'"
    ) == [("Stalker",)]
    assert live.sql(
        "SELECT user_id, value FROM ai_ab_metrics WHERE metric_name = 'watch_completion'"
    ) == [(USERS[0], 1.0)]


def test_recommender__no_experiment_runs__recommends_without_a_label() -> None:
    with AssayClient("http://127.0.0.1:9", "assay_server_000000000000_" + "0" * 48) as client:
        status, answer = call(
            recommender(client), "POST", "/api/v1/recommendations", {"user_id": "u"}
        )
    assert status == "200 OK" and {
        one["experiment_variant"] for one in answer["recommendations"]
    } == {None}


def test_recommender__bad_request__says_what_is_missing(assay: AssayClient) -> None:
    status, answer = call(recommender(assay), "POST", "/api/v1/recommendations")
    assert status == "400 Bad Request" and "user_id" in answer["error"]
    assert call(recommender(assay), "GET", "/elsewhere")[0] == "404 Not Found"


def test_assistant__flag_decides_the_model_and_everything_is_told(
    live: Live, assay: AssayClient
) -> None:
    live.flag("assistant", type="object", default={"model": "small-1"})
    arms = [
        {"name": "control", "traffic_allocation": 50, "config": {"model": "small-1"}},
        {
            "name": "large",
            "traffic_allocation": 50,
            "config": {"model": "large-1", "temperature": 0.7},
        },
    ]
    live.experiment("assistant_model", flag="assistant", variants=arms)
    live.settle()
    assert assay.refresh()
    app = assistant(assay, echo)
    answers = [
        call(app, "POST", "/ask", {"user": user, "question": "Is it raining?"})[1] for user in USERS
    ]
    models = {(one["variant"], one["answer"].split("]")[0].strip("[")) for one in answers}
    assert models == {("control", "small-1"), ("large", "large-1")}
    liked = {
        "user": USERS[0],
        "label": "useful",
        **{name: answers[0][name] for name in ("request_id", "experiment", "variant")},
    }
    assert call(app, "POST", "/feedback", liked)[1] == {"taken": True}

    def down(*_: object) -> Completion:
        raise TimeoutError("the provider is away")

    failed = call(
        assistant(assay, down), "POST", "/ask", {"user": USERS[0], "question": "Still there?"}
    )[1]
    assert failed["answer"] == FALLBACK
    assert assay.flush()
    kinds = dict(
        live.sql(
            "SELECT event_type, count(*) FROM ai_events WHERE event_type LIKE 'ai\\_%' GROUP BY 1"
        )
    )
    assert kinds["ai_request"] == len(USERS) and kinds["ai_fallback"] == 1
    costs = live.sql(
        "SELECT v.key, avg(c.cost_micro) FROM ai_request_costs c JOIN ai_events e USING (request_id)"
        " JOIN experiment_variants v USING (variant_id) GROUP BY 1 ORDER BY 2"
    )
    assert [variant for variant, _ in costs] == ["control", "large"]
    assert live.sql(
        "SELECT label FROM ai_feedback WHERE request_id = %s", answers[0]["request_id"]
    ) == [("useful",)]


def test_assistant__assay_away__answers_with_the_defaults_of_the_code() -> None:
    with AssayClient("http://127.0.0.1:9", "assay_server_000000000000_" + "0" * 48) as client:
        status, answer = call(
            assistant(client, echo), "POST", "/ask", {"user": "u", "question": "Anybody?"}
        )
    assert status == "200 OK" and answer["answer"].startswith(f"[{DEFAULTS['model']}]")


def test_retraining__variant_decides_how_often_and_accuracy_is_reported(
    live: Live, assay: AssayClient
) -> None:
    arms = [
        {
            "name": "monthly",
            "traffic_allocation": 50,
            "config": {"retrain_days": 30},
            "is_control": True,
        },
        {"name": "weekly", "traffic_allocation": 50, "config": {"retrain_days": 7}},
    ]
    live.experiment("retraining_frequency", variants=arms, unit_type="tenant")
    live.settle()
    assert assay.refresh()
    now = datetime(2026, 11, 30, tzinfo=UTC)
    models = {f"tenant-{number}": now - timedelta(days=10) for number in range(40)}
    trained = {
        one.tenant
        for one in retrain_due(assay, models, now, train=lambda tenant: 0.9, cost_micro=50_000)
    }
    weekly = {
        tenant
        for tenant in models
        if assay.variant("retraining_frequency", units={"tenant": tenant}, expose=False).key
        == "weekly"
    }
    assert trained == weekly and 5 < len(weekly) < 35
    assert assay.flush()
    assert live.sql(
        "SELECT count(*) FROM ai_ab_metrics WHERE metric_name = 'prediction_accuracy'"
    ) == [(len(weekly),)]
    assert live.sql(
        "SELECT sum(cost_micro) FROM ai_events WHERE event_type = 'model_retrained'"
    ) == [(50_000 * len(weekly),)]

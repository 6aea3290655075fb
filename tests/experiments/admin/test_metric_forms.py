"""The forms where a metric is defined and where an experiment plans it: quantiles, winsorising,
covariates.
"""

from __future__ import annotations

from experiments.core.design.specs import ExperimentSpec, MetricPlan
from experiments.models import ExperimentMetric, Metric
from experiments.services.drafts import drafts
from tests.experiments.admin.conftest import CONTROL, FRIENDLY, NOW, page, url

ADD = "/admin/experiments/metric/add/"
DEFINED = {
    "source": "observation",
    "value_field": "value",
    "attribution": "unit",
    "direction": "decrease",
    "window_hours": "72",
}
HELP = {
    "quantile": "Of a quantile (empty: 0.95) or a duration (empty: 0.5).",
    "winsorised": "once found, it never moves",
    "lookback_days": "in the days before its first exposure",
    "cap": "above it counts as the cap",
}


def _helped(text: str, name: str) -> str:
    """What the form says beneath one of its fields."""
    return text.split(f'id="id_{name}"')[1].split('<p class="help">')[1].split("</p>")[0]


def test_metric_form__offers_quantile_winsorising_and_look_back_with_help(browser):
    text = browser("dmitri").get(ADD).content.decode()
    for name, said in HELP.items():
        assert said in _helped(text, name)


def test_metric_form__quantile_and_winsorised__are_saved_and_shown(browser):
    dmitri = browser("dmitri")
    tail = {
        **DEFINED,
        "key": "tail",
        "name": "Tail",
        "kind": "quantile",
        "aggregation": "max",
        "quantile": "0,9",
    }
    spend = {
        **DEFINED,
        "key": "spend",
        "name": "Spend",
        "kind": "mean",
        "aggregation": "sum",
        "winsorised": "yes",
        "lookback_days": "7",
    }
    dmitri.post(ADD, tail)
    dmitri.post(ADD, spend)
    assert Metric.objects.get(key="tail").quantile == 0.9
    found = Metric.objects.get(key="spend")
    assert (found.winsorised, found.lookback_days) == (True, 7)
    shown = dmitri.get(f"/admin/experiments/metric/{found.pk}/change/").content.decode()
    assert "winsorised: the first look finds the cap" in shown
    assert "own 7 days before first exposure" in shown
    tail_page = dmitri.get(
        f"/admin/experiments/metric/{Metric.objects.get(key='tail').pk}/change/"
    ).content.decode()
    assert "<dt>Quantile</dt><dd>0.9</dd>" in tail_page


def test_metric_form__quantile_of_a_mean__is_refused_beside_the_field(browser):
    sent = {
        **DEFINED,
        "key": "spend",
        "name": "Spend",
        "kind": "mean",
        "aggregation": "sum",
        "quantile": "0.9",
    }
    text = browser("dmitri").post(ADD, sent).content.decode()
    assert (
        "only quantiles and durations name a quantile"
        in text.split('id="id_quantile"')[1].split("</div>")[0]
    )
    assert not Metric.objects.filter(key="spend").exists()


def test_experiment_form__covariate_and_what_decides__are_explained_and_shown_in_the_plan(
    browser, owner
):
    metrics = (MetricPlan("csat", "primary", baseline=4, baseline_sd=1, mde=0.05),)
    experiment = drafts.create_experiment(
        owner,
        NOW,
        spec=ExperimentSpec(name="Planned", variants=(CONTROL, FRIENDLY), metrics=metrics),
    )
    olivia = browser("olivia")
    form = olivia.get(url(experiment, "edit"))
    text = form.content.decode()
    assert "known of each unit before its first exposure" in _helped(text, "m-0-adjusted")
    assert "Empty: its own past" in _helped(text, "m-0-covariate")
    sent = {
        field.name: field.value for section in form.context["sections"] for field in section.fields
    }
    for line in (*form.context["variant_lines"], *form.context["metric_lines"]):
        sent |= {field.name: field.value for field in line.fields}
    counts = {"v-count": "2", "m-count": "1", "v-control": "0"}
    olivia.post(
        url(experiment, "edit"),
        {**sent, **counts, "m-0-adjusted": "yes", "m-0-covariate": "history"},
    )
    planned = ExperimentMetric.objects.get(experiment=experiment)
    assert (planned.adjusted, planned.covariate) == (True, "history")
    assert (
        "looks decide by CUPED, by history" in olivia.get(page(experiment, "plan")).content.decode()
    )


def test_experiment_form__ticked_guardrails_worth_and_budget__are_planned_and_shown_again(
    browser, owner
):
    metrics = (MetricPlan("csat", "primary", baseline=4, baseline_sd=1, mde=0.05),)
    experiment = drafts.create_experiment(
        owner,
        NOW,
        spec=ExperimentSpec(name="Planned", variants=(CONTROL, FRIENDLY), metrics=metrics),
    )
    olivia = browser("olivia")
    form = olivia.get(url(experiment, "edit"))
    assert "+500 ms counts as degraded" in form.content.decode()
    sent = {
        field.name: field.value for section in form.context["sections"] for field in section.fields
    }
    for line in (*form.context["variant_lines"], *form.context["metric_lines"]):
        sent |= {field.name: field.value for field in line.fields}
    ticked = {
        "guard-error_rate": "1",
        "guard-latency_p95": "1",
        "m-0-worth": "0.25",
        "budget": "100",
    }
    answer = olivia.post(
        url(experiment, "edit"),
        {**sent, "v-count": "2", "m-count": "1", "v-control": "0", **ticked},
    )
    assert answer.status_code == 302
    guards = ExperimentMetric.objects.filter(experiment=experiment, role="guardrail").order_by(
        "position"
    )
    assert [(one.metric.key, one.margin, one.action) for one in guards] == [
        ("error_rate", 0.02, "stop"),
        ("latency_p95", 500.0, "hold"),
    ]
    experiment.refresh_from_db()
    assert (
        experiment.budget_micro,
        ExperimentMetric.objects.get(experiment=experiment, role="primary").worth_micro,
    ) == (
        100_000_000,
        250_000,
    )
    again = {
        f.name: f.value
        for line in olivia.get(url(experiment, "edit")).context["metric_lines"]
        for f in line.fields
    }
    assert (again["m-0-worth"], again["m-1-metric"]) == ("0.25", "error_rate")

"""What people do to an experiment: each its own URL, a POST, one service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from analytics.selectors.cards import card_of, unmet_conditions
from experiments.admin.base import WorkplaceAdmin, actor_of
from experiments.admin.doing import Confirm, confirmed, posted
from experiments.admin.experiment_page import serving_of
from experiments.admin.experiment_sections import evaluation_fields, override_fields, sign_fields
from experiments.admin.experiment_view import page_url
from experiments.admin.fields import (
    Field,
    read_choice,
    read_day,
    read_moment,
    read_number,
    read_whole,
    reason_field,
)
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput, Problem
from experiments.core.life.checklist import SIGNED_ITEMS, TITLES, may_be_not_applicable
from experiments.core.life.consequences import sentence
from experiments.core.life.four_eyes import four_eyes
from experiments.core.life.lifecycle import CONCLUSIONS, Need, Verb, transition_for
from experiments.core.life.reasons import WANTED
from experiments.core.permissions import SIGNING, TABLE, Action, check, may, who_may
from experiments.core.types import Actor, Item, Outcome, PauseCause, Status, Verdict
from experiments.models import Experiment
from experiments.selectors.checklist import blockers, facts, launch_request
from experiments.selectors.experiments import STOP_WAITS, is_member, rules_of, stop_waits
from experiments.services.audience import audience
from experiments.services.drafts import drafts
from experiments.services.life import checklist as signing
from experiments.services.life import lifecycle
from experiments.services.people import comments, timeline_notes

RETURN = "return_to_control"
GRAVE = (Verb.EMERGENCY_STOP, Verb.ABORT_DARK_LAUNCH)


def found(experiment_id: int) -> Experiment:
    """The experiment with what its pages show of it, or 404."""
    rows = Experiment.objects.select_related("policy", "owner", "flag", "layer").prefetch_related(
        "variants", "planned_metrics__metric"
    )
    row = rows.filter(pk=experiment_id).first()
    if row is None:
        raise Http404("no such experiment")
    return row


def do(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int, verb: str) -> HttpResponse:
    """Ask, then take one arrow of the lifecycle."""
    if verb not in (*Verb, RETURN):
        raise Http404("no such verb")
    experiment = found(experiment_id)
    confirm = _confirm(
        actor_of(request), experiment, verb, utc_now(), _wanted_arm(request, experiment)
    )
    return confirmed(
        admin,
        request,
        title=experiment.name,
        about=experiment,
        confirm=confirm,
        work=lambda data: _press(request, experiment, verb, data),
    )


def _wanted_arm(request: HttpRequest, experiment: Experiment) -> str:
    """The test arm that is asked about: the one chosen, else the first."""
    arms = [arm.key for arm in experiment.variants.all() if not arm.is_control]
    chosen = request.POST.get("variant", "") or request.GET.get("variant", "")
    return chosen if chosen in arms else next(iter(arms), "")


def _confirm(actor: Actor, experiment: Experiment, verb: str, now: datetime, arm: str) -> Confirm:
    arrow = (
        None
        if verb == RETURN
        else transition_for(
            Verb(verb), Status(experiment.status), PauseCause(experiment.pause_cause)
        )
    )
    label = arrow.label if arrow else verb.replace("_", " ").capitalize()
    action = Action.RETURN_TO_CONTROL if verb == RETURN else arrow.action if arrow else None
    must_say_why = verb in (RETURN, Verb.PROMOTE) or (
        arrow is not None and Need.REASON in arrow.needs
    )
    unmet = unmet_conditions(experiment.pk, arm) if verb == Verb.PROMOTE and arm else ()
    grave = verb in GRAVE or verb == RETURN or bool(unmet)
    return Confirm(
        question=f"{label}{' against the rules' if unmet else ''}: {experiment.name}?",
        button=f"{label} anyway" if unmet else label,
        unmet=unmet,
        back=page_url(experiment.pk),
        consequence=sentence(verb, serving_of(experiment, rules_of(experiment), now)),
        said=card_of(experiment, now).sentence if verb in (Verb.PROMOTE, Verb.CONCLUDE) else "",
        tone="bad" if grave else "",
        danger=grave,
        fields=[
            *_extra_fields(experiment, verb, arm),
            reason_field(required=must_say_why, about=_WHY if unmet else ""),
        ],
        blockers=[
            *not_theirs(actor, experiment, action),
            *in_the_way(actor, experiment, verb, now),
        ],
    )


def in_the_way(actor: Actor, experiment: Experiment, verb: str, now: datetime) -> list[Problem]:
    """What stands against the verb now, for this person; the service asks again."""
    if verb == RETURN:
        return []
    needs_second = verb == Verb.PROMOTE or (
        verb == Verb.RESUME and experiment.pause_cause == PauseCause.HARM
    )
    return [
        *blockers(experiment, Verb(verb), now),
        *(four_eyes(actor, launch_request(experiment)) if needs_second else []),
    ]


def not_theirs(actor: Actor, experiment: Experiment, action: Action | None) -> list[Problem]:
    """That the step is somebody else's, said before it is pressed."""
    if action is None or may(actor, action, member=is_member(actor, experiment)):
        return []
    return [Problem("forbidden", f"You may not {TABLE[action].label}; {who_may(action)}.")]


_WHY = f"Not every condition is met, so this needs {WANTED}. It stays visible on the experiment."


def _extra_fields(experiment: Experiment, verb: str, arm: str) -> list[Field]:
    if verb == Verb.CONCLUDE:
        choices = [(o.value, o.value.replace("_", " ")) for o in CONCLUSIONS]
        return [
            Field(
                "outcome",
                "Outcome",
                "select",
                value=Outcome.INCONCLUSIVE,
                choices=choices,
                help="What was learned.",
            )
        ]
    if verb == Verb.PROMOTE:
        arms = [(v.key, v.name) for v in experiment.variants.all() if not v.is_control]
        return [Field("variant", "Winner", "select", value=arm, choices=arms)]
    return []


def _press(request: HttpRequest, experiment: Experiment, verb: str, data: QueryDict) -> str:
    actor, now, reason = actor_of(request), utc_now(), data.get("reason", "").strip()
    if verb == RETURN:
        lifecycle.return_to_control(actor, now, experiment_id=experiment.pk, reason=reason)
        return f"{experiment.name}: returned to control."
    if verb == Verb.CONCLUDE:
        after = lifecycle.conclude(
            actor,
            now,
            experiment_id=experiment.pk,
            outcome=read_choice(Outcome, data.get("outcome", ""), "outcome", "Outcome"),
            reason=reason,
        )
    elif verb == Verb.PROMOTE:
        after = lifecycle.promote(
            actor,
            now,
            experiment_id=experiment.pk,
            variant_key=data.get("variant", ""),
            decision_note=reason,
        )
    else:
        after = lifecycle.transition(
            actor, now, experiment_id=experiment.pk, verb=Verb(verb), reason=reason
        )
        if verb == Verb.EMERGENCY_STOP and stop_waits(after):
            return f"{experiment.name} was stopped: {STOP_WAITS}."
    return f"{experiment.name} is now {_STATES.get(Status(after.status), after.status)}."


def _unsignable(actor: Actor, experiment: Experiment, item: Item) -> list[Problem]:
    found = not_theirs(actor, experiment, SIGNING[item])
    return found or (four_eyes(actor, launch_request(experiment)) if item == Item.APPROVAL else [])


_STATES = {Status.DRAFT: "a draft again", Status.DARK_LAUNCH: "in dark launch"}


def sign(
    admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int, item: str
) -> HttpResponse:
    """Put one's name under a checklist item, or refuse it."""
    if item not in SIGNED_ITEMS:
        raise Http404("no such item to sign")
    experiment, thing = found(experiment_id), Item(item)
    confirm = Confirm(
        f"Sign “{TITLES[thing]}” of {experiment.name}",
        "Sign",
        page_url(experiment_id, "checklist"),
        fields=sign_fields(may_be_not_applicable(facts(experiment, utc_now()), thing)),
        blockers=_unsignable(actor_of(request), experiment, thing),
    )

    def work(data: QueryDict) -> str:
        verdict = read_choice(Verdict, data.get("verdict", ""), "verdict", "Verdict")
        signing.sign_off(
            actor_of(request),
            utc_now(),
            experiment_id=experiment_id,
            item=thing,
            verdict=verdict,
            comment=data.get("comment", "").strip(),
        )
        return f"{TITLES[thing]}: {verdict.value.replace('_', ' ')}."

    return confirmed(
        admin, request, title=experiment.name, about=experiment, confirm=confirm, work=work
    )


def request_launch(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Ask somebody else to approve the launch."""
    experiment = found(experiment_id)
    confirm = Confirm(
        f"Request the launch of {experiment.name}?",
        "Request the launch",
        page_url(experiment_id, "checklist"),
        consequence="nothing yet. Somebody other than you reads the plan and approves or rejects it.",
        fields=[Field("note", "Note to the approver", "textarea")],
    )

    def work(data: QueryDict) -> str:
        signing.request_launch(
            actor_of(request),
            utc_now(),
            experiment_id=experiment_id,
            note=data.get("note", "").strip(),
        )
        return "The launch is requested; somebody else approves it."

    return confirmed(
        admin, request, title=experiment.name, about=experiment, confirm=confirm, work=work
    )


def evaluate(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Record an offline evaluation of a variant."""
    experiment = found(experiment_id)
    confirm = Confirm(
        f"Record an offline evaluation for {experiment.name}",
        "Record",
        page_url(experiment_id, "offline"),
        fields=evaluation_fields(experiment),
    )
    return confirmed(
        admin,
        request,
        title=experiment.name,
        about=experiment,
        confirm=confirm,
        work=lambda data: _evaluate(request, experiment_id, data),
    )


def _evaluate(request: HttpRequest, experiment_id: int, data: QueryDict) -> str:
    value = read_number(data.get("value", ""), "value", "Value")
    if value is None:
        raise InvalidInput("Value: a number is needed.", "value")
    signing.record_offline_evaluation(
        actor_of(request),
        utc_now(),
        experiment_id=experiment_id,
        variant_key=data.get("variant", ""),
        metric=data.get("metric", "").strip(),
        value=value,
        lower=read_number(data.get("lower", ""), "lower", "Lower bound"),
        upper=read_number(data.get("upper", ""), "upper", "Upper bound"),
        n=read_whole(data.get("n", ""), "n", "Cases evaluated"),
        dataset=data.get("dataset", "").strip(),
    )
    return "The evaluation is recorded."


def _posted(
    admin: WorkplaceAdmin,
    request: HttpRequest,
    experiment_id: int,
    tab: str,
    work: Callable[[QueryDict], str],
) -> HttpResponse:
    experiment = found(experiment_id)
    fields = _form_fields(experiment) if experiment.status == Status.DRAFT else {}
    return posted(
        admin,
        request,
        title=experiment.name,
        back=page_url(experiment.pk, tab),
        work=work,
        fields=fields,
    )


def _form_fields(experiment: Experiment) -> dict[str, str]:
    """What a refusal calls a planned number → its place in the form."""
    form = reverse("admin:experiment_edit", args=(experiment.pk,))
    lines = enumerate(experiment.planned_metrics.all())
    return {
        f"metrics.{plan.metric.key}.{name}": f"{form}#id_m-{i}-{name}"
        for i, plan in lines
        for name in _PLANNED
    } | {"metrics": f"{form}#metrics"}


_PLANNED = ("baseline", "baseline_sd", "mde", "margin")


def compute(
    admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int, item: str
) -> HttpResponse:
    """Have evidence computed: the sample size or the dark launch's health."""
    if item not in _COMPUTED:
        raise Http404("nothing to compute for this item")
    service, message, tab = _COMPUTED[Item(item)]

    def work(data: QueryDict) -> str:
        service(actor_of(request), utc_now(), experiment_id)
        return message

    return _posted(admin, request, experiment_id, tab, work)


def replan(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Take the effect or margin that the plan's horizon can answer, with one press."""
    from analytics.services.planning import replanning  # its numerics load only when asked for

    def work(data: QueryDict) -> str:
        evidence = replanning.replan(
            actor_of(request), utc_now(), experiment_id=experiment_id, metric=data.get("metric", "")
        )
        return f"The plan is changed: {evidence.summary}."

    return _posted(admin, request, experiment_id, "plan", work)


def _compute_size(actor: Actor, now: datetime, experiment_id: int) -> None:
    from analytics.services.planning import planning  # its numerics load only when asked for

    planning.plan_sample_size(actor, now, experiment_id=experiment_id)


def _compute_health(actor: Actor, now: datetime, experiment_id: int) -> None:
    from analytics.services.analysis import dark_health  # as above

    dark_health.check_dark_launch(actor, now, experiment_id=experiment_id)


_COMPUTED: Mapping[Item, tuple[Callable[[Actor, datetime, int], None], str, str]] = {
    Item.SAMPLE_SIZE: (_compute_size, "The sample size is computed.", "plan"),
    Item.DARK_LAUNCH: (_compute_health, "The dark launch's health is computed.", "checklist"),
}


def analyse(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Analyse for display; it never counts as a look and decides nothing."""
    from analytics.services.analysis import analysis  # its numerics load only when asked for

    def work(data: QueryDict) -> str:
        actor, experiment = actor_of(request), found(experiment_id)
        check(
            actor,
            Action.COMPUTE_EVIDENCE,
            member=is_member(actor, experiment),
            subject=experiment.key,
        )
        analysis.analyse(experiment_id, now=utc_now(), may_look=False)
        return "Analysed for display. Nothing was decided."

    return _posted(admin, request, experiment_id, "results", work)


def hold(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Keep the machine from promoting, or let it again."""
    experiment = found(experiment_id)
    held = not experiment.promotion_held
    label = "Hold the promotion" if held else "Release the promotion"
    then = (
        "nothing. The experiment runs on, and only a person may promote it."
        if held
        else "nothing yet. A winner is promoted by itself again."
    )
    confirm = Confirm(
        f"{label} of {experiment.name}?",
        label,
        page_url(experiment_id),
        consequence=then,
        fields=[reason_field(required=False)],
    )

    def work(data: QueryDict) -> str:
        reason = data.get("reason", "").strip()
        lifecycle.hold_promotion(
            actor_of(request), utc_now(), experiment_id=experiment_id, held=held, reason=reason
        )
        return f"{label}: done."

    return confirmed(
        admin, request, title=experiment.name, about=experiment, confirm=confirm, work=work
    )


def note(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Write a note; it stands in the history and in the plan."""

    def work(data: QueryDict) -> str:
        drafts.add_note(
            actor_of(request),
            utc_now(),
            experiment_id=experiment_id,
            text=data.get("text", "").strip(),
        )
        return "The note is kept."

    return _posted(admin, request, experiment_id, "history", work)


def comment(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Say something about the experiment to everybody who follows it."""

    def work(data: QueryDict) -> str:
        comments.comment(
            actor_of(request), utc_now(), experiment_id=experiment_id, text=data.get("text", "")
        )
        return "Said."

    return _posted(admin, request, experiment_id, "history", work)


def team(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Add somebody to the team, or take somebody off it."""

    def work(data: QueryDict) -> str:
        members = set(found(experiment_id).collaborators.values_list("pk", flat=True))
        added, removed = data.get("add", ""), data.get("remove", "")
        wanted = ({*map(str, members)} | {added}) - {removed} - {""}
        drafts.edit_experiment(
            actor_of(request),
            utc_now(),
            experiment_id=experiment_id,
            changes={"collaborators": sorted(wanted)},
        )
        return "The team is changed."

    return _posted(admin, request, experiment_id, "settings", work)


def mark(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Mark days on the timeline: what was up in the world. Charts show it."""

    def work(data: QueryDict) -> str:
        first = read_day(data.get("first_day", ""), "first_day", "First day")
        if first is None:
            raise InvalidInput("First day: say when it was.", "first_day")
        timeline_notes.put_note(
            actor_of(request),
            utc_now(),
            kind=data.get("kind", ""),
            first_day=first,
            last_day=read_day(data.get("last_day", ""), "last_day", "Last day"),
            text=data.get("text", "").strip(),
            experiment_id=None if data.get("everywhere") else experiment_id,
        )
        return "It stands on the timeline."

    return _posted(admin, request, experiment_id, "history", work)


def unmark(
    admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int, note_id: int
) -> HttpResponse:
    """Take one's own note back from the timeline."""

    def work(data: QueryDict) -> str:
        timeline_notes.withdraw_note(actor_of(request), utc_now(), note_id=note_id)
        return "The note is taken back; the history keeps it."

    return _posted(admin, request, experiment_id, "history", work)


def override(admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int) -> HttpResponse:
    """Let a tester see a variant by name, until a date."""
    experiment = found(experiment_id)
    confirm = Confirm(
        f"Add an override to {experiment.name}",
        "Add",
        page_url(experiment_id, "traffic"),
        consequence="this one unit gets the variant you choose, until then; it never enters the results.",
        fields=override_fields(list(experiment.variants.all())),
    )

    def work(data: QueryDict) -> str:
        until = read_moment(data.get("expires_at", ""), "expires_at", "Until")
        if until is None:
            raise InvalidInput("Until: an override needs an end.", "expires_at")
        audience.add_override(
            actor_of(request),
            utc_now(),
            experiment_id=experiment_id,
            variant_key=data.get("variant", ""),
            unit_id=data.get("unit_id", ""),
            unit_type=experiment.unit_type,
            expires_at=until,
            reason=data.get("reason", "").strip(),
        )
        return "The override is set."

    return confirmed(
        admin, request, title=experiment.name, about=experiment, confirm=confirm, work=work
    )


def override_remove(
    admin: WorkplaceAdmin, request: HttpRequest, experiment_id: int, override_id: int
) -> HttpResponse:
    """Take an override away."""

    def work(data: QueryDict) -> str:
        audience.remove_override(actor_of(request), utc_now(), override_id=override_id)
        return "The override is removed."

    return _posted(admin, request, experiment_id, "traffic", work)

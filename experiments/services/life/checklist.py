"""The launch checklist's verbs: record evidence, sign items, ask for the launch."""

from __future__ import annotations

import math
from datetime import datetime

from django.db import transaction

from experiments.core.design.design import MAX_METRIC_KEY, arm_digest, digest, judged
from experiments.core.errors import InvalidInput, NotFound, Problem, Refused
from experiments.core.life import checklist as rules
from experiments.core.life.checklist import SIGNED_ITEMS, TITLES, LaunchFacts
from experiments.core.life.four_eyes import four_eyes
from experiments.core.permissions import SIGNING, Action
from experiments.core.types import JSON, Actor, Item, Status, Verdict
from experiments.models import Evidence, Experiment, LaunchRequest, OfflineEvaluation, SignOff
from experiments.selectors.checklist import facts
from experiments.selectors.experiments import design_of
from experiments.services.ground import audit
from experiments.services.ground.guarding import (
    checked,
    locked,
    permit,
    person_behind,
    wanted_reason,
)

COMPUTED_ITEMS = (Item.SAMPLE_SIZE, Item.DARK_LAUNCH)
"""Items whose evidence is computed elsewhere and written here."""
BEFORE_LAUNCH = (Status.DRAFT, Status.DARK_LAUNCH)


def sign_off(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    item: Item | str,
    verdict: Verdict | str,
    comment: str = "",
) -> SignOff:
    """A verdict on an item, bound to the design it judges. Approving needs its basis; rejecting
    needs a comment.
    """
    item, verdict = _item(item), _verdict(verdict)
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, SIGNING[item], experiment)
        known = facts(experiment, now)
        _refuse_untimely(known, item)
        _refuse_unfounded(known, item, verdict, comment)
        row = _signed(actor, now, experiment, known, item, verdict, comment)
        after: JSON = {
            "item": item.value,
            "verdict": verdict.value,
            "judged_sha256": row.judged_sha256,
        }
        audit.record(
            actor,
            now,
            action="signed_off",
            obj=row,
            experiment=experiment,
            reason=comment,
            after=after,
        )
    return row


def _item(name: Item | str) -> Item:
    if name not in SIGNED_ITEMS:
        raise InvalidInput(
            f"checklist item {str(name)[:40]!r}: nobody signs it; signed are {', '.join(SIGNED_ITEMS)}",
            field="item",
        )
    return Item(name)


def _verdict(name: Verdict | str) -> Verdict:
    if name not in list(Verdict):
        raise InvalidInput(
            f"verdict {str(name)[:40]!r}: expected one of {', '.join(Verdict)}", field="verdict"
        )
    return Verdict(name)


def _refuse_untimely(known: LaunchFacts, item: Item) -> None:
    """Items are signed before the launch they gate; optional ones too, but an approval that nobody
    asks for approves nothing.
    """
    key, title = known.design.key, TITLES[item]
    if item is Item.APPROVAL and not known.rules.needs(item):
        raise Refused(
            f"{key}: policy {known.design.policy_key} does not ask for {title}", field="item"
        )
    allowed = (Status.DARK_LAUNCH,) if item is Item.DARK_LAUNCH else BEFORE_LAUNCH
    if known.status not in allowed:
        when = " or ".join(status.value.replace("_", " ") for status in allowed)
        raise Refused(
            f"{key}: {title} is signed in {when}; the experiment is {known.status.value.replace('_', ' ')}",
            field="status",
        )


def _refuse_unfounded(known: LaunchFacts, item: Item, verdict: Verdict, comment: str) -> None:
    key = known.design.key
    if verdict is not Verdict.APPROVED:
        wanted_reason(comment, key, f"the verdict {verdict.value.replace('_', ' ')}")
    if verdict is Verdict.NOT_APPLICABLE and not rules.may_be_not_applicable(known, item):
        raise Refused(
            f"{key}: {TITLES[item]} cannot be called not applicable as things stand",
            field="verdict",
        )
    if verdict is Verdict.APPROVED:
        _refuse_without_basis(known, item)


def _refuse_without_basis(known: LaunchFacts, item: Item) -> None:
    found = rules.basis(known, item)
    problems = (
        []
        if found.signable
        else [Problem(f"{item.value}_{found.state}", found.message, item.value)]
    )
    if item is Item.APPROVAL:
        problems += rules.open_items(known, tuple(one for one in Item if one is not Item.APPROVAL))
    if problems:
        raise Refused(
            f"{known.design.key}: {TITLES[item]} cannot be approved yet",
            field="item",
            problems=problems,
        )


def _signed(
    actor: Actor,
    now: datetime,
    experiment: Experiment,
    known: LaunchFacts,
    item: Item,
    verdict: Verdict,
    comment: str,
) -> SignOff:
    parts = judged(known.design, item)
    found = rules.basis(known, item)
    row = SignOff(
        experiment=experiment,
        item=item.value,
        verdict=verdict.value,
        comment=comment,
        evidence={"basis": found.state, "message": found.message, "lines": list(found.evidence)},
        judged=parts,
        judged_sha256=digest(parts),
        signed_by_id=person_behind(actor),
        **(_asked_by(actor, known) if item is Item.APPROVAL else {}),
        signed_at=now,
    )
    checked(row, exclude=("experiment", "signed_by", "requested_by", "key_made_by"))
    row.save(force_insert=True)
    return row


def _asked_by(actor: Actor, known: LaunchFacts) -> dict[str, int | None]:
    """Whom the database, too, keeps from signing."""
    if known.request is None:
        raise Refused(
            f"{known.design.key}: launch not requested, so there is nothing to judge", field="item"
        )
    found = four_eyes(actor, known.request)
    if found:
        raise Refused(f"{known.design.key}: {found[0].message}", field="actor", problems=found)
    return {
        "requested_by_id": known.request.requested_by_id,
        "key_made_by_id": known.request.key_made_by_id,
    }


def request_launch(
    actor: Actor, now: datetime, *, experiment_id: int, note: str = ""
) -> LaunchRequest:
    """Ask for the launch of the design as it stands; somebody else approves it."""
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.REQUEST_LAUNCH, experiment)
        if experiment.status not in BEFORE_LAUNCH:
            raise Refused(
                f"{experiment.key}: is {experiment.status} already; a launch is requested before it",
                field="status",
            )
        row = write_request(actor, now, experiment, note)
        audit.record(
            actor, now, action="launch_requested", obj=row, experiment=experiment, reason=note
        )
    return row


def write_request(actor: Actor, now: datetime, experiment: Experiment, note: str) -> LaunchRequest:
    """The request's row, bound to the present design; the machine asks for the owner."""
    row = LaunchRequest(
        experiment=experiment,
        requested_by_id=actor.user_id or experiment.owner_id,
        key_id=actor.key_id,
        requested_at=now,
        judged_sha256=digest(judged(design_of(experiment), Item.APPROVAL)),
        note=note,
    )
    checked(row, exclude=("experiment", "requested_by", "key"))
    row.save(force_insert=True)
    return row


def record_offline_evaluation(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    variant_key: str,
    metric: str,
    value: float,
    lower: float | None = None,
    upper: float | None = None,
    n: int | None = None,
    dataset: str = "",
) -> OfflineEvaluation:
    """What a test variant scored offline, bound to its present config and model; the bounds are of
    a confidence interval.
    """
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.RECORD_OFFLINE, experiment)
        _refuse_bad_score(experiment, metric, value, lower, upper)
        arm = design_of(experiment).variant(variant_key)
        if arm is None:
            raise NotFound(f"{experiment.key}: no variant {variant_key[:128]!r}", field="variant")
        row = OfflineEvaluation(
            experiment=experiment,
            variant=experiment.variants.get(key=arm.key),
            metric=metric.strip(),
            value=value,
            lower=lower,
            upper=upper,
            n=n,
            dataset=dataset,
            config_sha256=arm_digest(arm),
            recorded_by=actor.label[:160],
            recorded_at=now,
        )
        checked(row, exclude=("experiment", "variant"))
        row.save(force_insert=True)
        after: JSON = {
            "variant": arm.key,
            "metric": row.metric,
            "value": value,
            "lower": lower,
            "upper": upper,
            "n": n,
            "dataset": dataset,
        }
        audit.record(
            actor,
            now,
            action="offline_evaluation_recorded",
            obj=row,
            experiment=experiment,
            after=after,
        )
    return row


def _refuse_bad_score(
    experiment: Experiment, metric: str, value: float, lower: float | None, upper: float | None
) -> None:
    subject = f"{experiment.key}, offline evaluation"
    if not 1 <= len(metric.strip()) <= MAX_METRIC_KEY:
        raise InvalidInput(
            f"{subject}: the metric's name has 1 to {MAX_METRIC_KEY} characters", field="metric"
        )
    for name, number in (("value", value), ("lower", lower), ("upper", upper)):
        if number is not None and not math.isfinite(number):
            raise InvalidInput(
                f"{subject}: {name} must be a finite number, found {number}", field=name
            )
    if (lower is not None and lower > value) or (upper is not None and upper < value):
        raise InvalidInput(
            f"{subject}: the bounds {lower} and {upper} must hold the value {value} between them",
            field="lower",
        )


def record_evidence(
    actor: Actor,
    now: datetime,
    *,
    experiment_id: int,
    item: Item | str,
    green: bool,
    summary: str,
    detail: JSON = None,
) -> Evidence:
    """What was computed about an item, bound to the design it is about.

    The same finding again only renews its time and numbers; a different one is a new row and a
    line.
    """
    if item not in COMPUTED_ITEMS:
        raise InvalidInput(
            f"checklist item {str(item)[:40]!r}: has no computed evidence; {', '.join(COMPUTED_ITEMS)} have",
            field="item",
        )
    with transaction.atomic():
        experiment = locked(experiment_id)
        permit(actor, Action.COMPUTE_EVIDENCE, experiment)
        if item == Item.DARK_LAUNCH and experiment.status != Status.DARK_LAUNCH:
            raise Refused(
                f"{experiment.key}: is {experiment.status}; a dark launch's health is computed during it",
                field="status",
            )
        row, same = _evidence_row(
            experiment, Item(item), green, digest(judged(design_of(experiment), Item(item)))
        )
        row.summary, row.detail, row.computed_at = summary, {} if detail is None else detail, now
        checked(row, exclude=("experiment",))
        row.save()
        if not same:
            after: JSON = {"item": str(item), "green": green, "summary": summary}
            audit.record(
                actor, now, action="evidence_recorded", obj=row, experiment=experiment, after=after
            )
    return row


def _evidence_row(
    experiment: Experiment, item: Item, green: bool, sha256: str
) -> tuple[Evidence, bool]:
    """The row to write, and whether it is the newest one, which says the same already."""
    last = (
        Evidence.objects.filter(experiment=experiment, item=item.value)
        .order_by("-computed_at", "-id")
        .first()
    )
    if last is not None and last.green == green and last.judged_sha256 == sha256:
        return last, True
    return Evidence(
        experiment=experiment, item=item.value, green=green, judged_sha256=sha256
    ), False

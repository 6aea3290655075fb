"""Verbs for tools: start, stop and everything between, each through the one gate that all doors
share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.api import shown
from experiments.api.bodies import Text
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput, Problem, Refused
from experiments.core.life.lifecycle import Verb, verb_towards
from experiments.core.life.ramping import RampAction
from experiments.core.types import PauseCause, Scope, Status
from experiments.http.doors import Door, identity, raw_body
from experiments.http.idempotency import idempotent
from experiments.http.pages import PAGE_PARAMETERS, page
from experiments.http.parsing import ONE_BODY, convert, parse_json
from experiments.models import Experiment
from experiments.selectors.experiments import (
    ARM_WAITS,
    STOP_WAITS,
    arm_stop_waits,
    open_iteration,
    resolve,
    stop_waits,
)
from experiments.services.ground.turns import TurnKind
from experiments.services.life import checklist, lifecycle, ramps
from experiments.services.life.recommended import promote_recommended

T = TypeVar("T")

DONE = {
    Verb.START: "started",
    Verb.START_DARK_LAUNCH: "put into its dark launch",
    Verb.ABORT_DARK_LAUNCH: "taken back to draft",
    Verb.PAUSE: "paused",
    Verb.RESUME: "resumed",
    Verb.CONCLUDE: "stopped",
    Verb.EMERGENCY_STOP: "stopped in an emergency",
    Verb.PROMOTE: "promoted",
    Verb.ARCHIVE: "archived",
}


class VerbBody(msgspec.Struct, forbid_unknown_fields=True):
    """``outcome`` is for stopping, ``variant`` for promoting."""

    reason: Text = ""
    outcome: Text = ""
    variant: Text = ""


class StatusBody(msgspec.Struct, forbid_unknown_fields=True):
    status: Text
    reason: Text = ""


class EvaluationBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a variant scored offline; ``lower`` and ``upper`` bound a confidence interval."""

    variant: Text
    metric: Text
    value: float
    lower: float | None = None
    upper: float | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    dataset: Text = ""


class NoteBody(msgspec.Struct, forbid_unknown_fields=True):
    note: Text = ""


class RampBody(msgspec.Struct, forbid_unknown_fields=True):
    """``advance`` takes the next step, ``hold`` stays at this one, ``resume`` lets the ramp go on
    by itself.
    """

    action: RampAction
    reason: Text = ""


class Press(Door):
    """One verb; a refusal lists everything that stands against it (409)."""

    scopes = (Scope.MANAGEMENT,)
    verb: Verb

    @extend_schema(request=VerbBody, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, ref: str) -> Response:
        body = _body(request, VerbBody)
        experiment = resolve(ref)
        lifecycle.transition(
            identity(request).actor,
            utc_now(),
            experiment_id=experiment.pk,
            verb=self.verb,
            reason=body.reason,
        )
        return _done(experiment, self.verb)


class Start(Press):
    verb = Verb.START


class DarkLaunch(Press):
    verb = Verb.START_DARK_LAUNCH


class AbortDarkLaunch(Press):
    verb = Verb.ABORT_DARK_LAUNCH


class PauseExperiment(Press):
    verb = Verb.PAUSE


class Resume(Press):
    verb = Verb.RESUME


class Archive(Press):
    verb = Verb.ARCHIVE


class StopExperiment(Door):
    """Concludes; ``?emergency=true`` pauses as harm, or with a variant switches only that arm off;
    ``?declare_winner=true`` promotes what the decision recommends."""

    scopes = (Scope.MANAGEMENT,)

    def kind_of(self, request: Request) -> TurnKind:
        return TurnKind.STOP if _flag(request, "emergency") else self.kind

    @extend_schema(request=VerbBody, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, ref: str) -> Response:
        body, actor, now = _body(request, VerbBody), identity(request).actor, utc_now()
        emergency, winner = _flag(request, "emergency"), _flag(request, "declare_winner")
        if emergency and winner:
            raise InvalidInput(
                "emergency and declare_winner exclude each other; send one", "emergency"
            )
        experiment = resolve(ref)
        if emergency and body.variant:
            lifecycle.stop_arms(
                actor,
                now,
                experiment_id=experiment.pk,
                variant_keys=[body.variant],
                reason=body.reason,
            )
            return _done(experiment, Verb.EMERGENCY_STOP, body.variant)
        if emergency:
            lifecycle.emergency_stop(actor, now, experiment_id=experiment.pk, reason=body.reason)
            return _done(experiment, Verb.EMERGENCY_STOP)
        if winner:
            promote_recommended(
                actor, now, experiment=experiment, variant_key=body.variant, note=body.reason
            )
            return _done(experiment, Verb.PROMOTE)
        lifecycle.conclude(
            actor,
            now,
            experiment_id=experiment.pk,
            outcome=body.outcome or None,
            reason=body.reason,
        )
        return _done(experiment, Verb.CONCLUDE)


class Promote(Door):
    """Promotes what the stored decision recommends; anything else takes a person."""

    scopes = (Scope.MANAGEMENT,)

    @extend_schema(request=VerbBody, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, ref: str) -> Response:
        body, experiment = _body(request, VerbBody), resolve(ref)
        promote_recommended(
            identity(request).actor,
            utc_now(),
            experiment=experiment,
            variant_key=body.variant,
            note=body.reason,
        )
        return _done(experiment, Verb.PROMOTE)


class ChangeRamp(Door):
    """Keys hold and resume a ramp; advancing it by hand takes a person, who sees what stands
    against it.
    """

    scopes = (Scope.MANAGEMENT,)

    @extend_schema(request=RampBody, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, ref: str) -> Response:
        body, experiment = _body(request, RampBody), resolve(ref)
        _RAMP[body.action](
            identity(request).actor, utc_now(), experiment_id=experiment.pk, reason=body.reason
        )
        after = resolve(experiment.pk)
        return Response(
            shown.full(
                after, open_iteration(after), f"Ramp of experiment {after.pk}: {body.action} done"
            )
        )


_RAMP: Mapping[RampAction, Callable[..., Experiment]] = {
    RampAction.ADVANCE: ramps.advance,
    RampAction.HOLD: ramps.hold,
    RampAction.RESUME: ramps.resume,
}


class StatusDoor(Door):
    """``PUT {"status": "running"}``: the verb that leads from here to there."""

    scopes = (Scope.MANAGEMENT,)

    @extend_schema(request=StatusBody, responses=OpenApiTypes.OBJECT)
    @idempotent
    def put(self, request: Request, ref: str) -> Response:
        body, experiment = _body(request, StatusBody), resolve(ref)
        wanted, present = _status(body.status), Status(experiment.status)
        if wanted is present:
            return Response(
                shown.full(
                    experiment,
                    open_iteration(experiment),
                    f"Experiment {experiment.pk} is {present} already",
                )
            )
        verb = verb_towards(present, wanted, PauseCause(experiment.pause_cause))
        if verb is None:
            problem = Problem("wrong_status", f"nothing leads from {present} to {wanted}", "status")
            raise Refused(f"{experiment.key}: cannot go {present} → {wanted}", "status", [problem])
        lifecycle.transition(
            identity(request).actor,
            utc_now(),
            experiment_id=experiment.pk,
            verb=verb,
            reason=body.reason,
        )
        return _done(experiment, verb)


class OfflineEvaluations(Door):
    """``GET`` lists the recorded offline scores, newest first; ``POST`` records one."""

    scopes = (Scope.READ, Scope.MANAGEMENT)
    scopes_by_method = {"POST": (Scope.MANAGEMENT,)}

    @extend_schema(parameters=PAGE_PARAMETERS, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, ref: str) -> Response:
        rows = (
            resolve(ref)
            .offline_evaluations.select_related("variant")
            .order_by("-recorded_at", "-id")
        )
        return Response(page(request, rows, "offline_evaluations", shown.evaluation))

    @extend_schema(request=EvaluationBody, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, ref: str) -> Response:
        body, experiment = _body(request, EvaluationBody), resolve(ref)
        scores = msgspec.structs.asdict(body)
        variant = scores.pop("variant")
        row = checklist.record_offline_evaluation(
            identity(request).actor,
            utc_now(),
            experiment_id=experiment.pk,
            variant_key=variant,
            **scores,
        )
        return Response(shown.evaluation(row), status=201)


class RequestLaunch(Door):
    """Asks for the launch of the design as it stands; somebody other than the key's owner approves
    it.
    """

    scopes = (Scope.MANAGEMENT,)

    @extend_schema(request=NoteBody, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, ref: str) -> Response:
        body, experiment = _body(request, NoteBody), resolve(ref)
        row = checklist.request_launch(
            identity(request).actor, utc_now(), experiment_id=experiment.pk, note=body.note
        )
        return Response(
            shown.brief(resolve(experiment.pk), "Launch requested")
            | {"requested_at": row.requested_at},
            status=201,
        )


def _body(request: Request, wanted: type[T]) -> T:
    """The body as a struct; verbs may come without one."""
    raw = raw_body(request, max_bytes=ONE_BODY)
    return convert(parse_json(raw, max_bytes=ONE_BODY) if raw.strip() else {}, wanted)


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise InvalidInput(f"{name}: expected true or false, found {text[:40]!r}", name)
    return text in ("true", "1")


def _status(text: str) -> Status:
    found = next((status for status in Status if status.value == text.strip().lower()), None)
    if found is None:
        raise InvalidInput(
            f"status: expected one of {', '.join(Status)}, found {text[:40]!r}", "status"
        )
    return found


def _done(before: Experiment, verb: Verb, arm: str = "") -> Response:
    experiment = resolve(before.pk)
    said = f"Experiment {experiment.pk} {DONE[verb]} successfully"
    if verb is Verb.EMERGENCY_STOP and stop_waits(experiment):
        said += f"; {STOP_WAITS}"
    elif arm and arm_stop_waits(experiment, arm):
        said += f"; {ARM_WAITS}"
    return Response(shown.full(experiment, open_iteration(experiment), said))

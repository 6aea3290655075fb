"""The shape of every change: own URL, what will happen, reason, POST, service, message,
redirect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.html import format_html

from experiments.admin.base import Crumb, WorkplaceAdmin
from experiments.admin.fields import Field, filled
from experiments.core.errors import AssayError, Forbidden, Problem
from experiments.http.errors import status_of


@dataclass(frozen=True)
class Confirm:
    """A confirm page: the question, what users will see, what the analysis says, what stands in the
    way, what to fill in.

    ``unmet``: conditions that the rules ask for and that are not met. ``look`` names a second
    button that does nothing but show more of what was typed; ``shown`` is what it showed.
    """

    question: str
    button: str
    back: str
    consequence: str = ""
    said: str = ""
    tone: str = ""
    danger: bool = False
    fields: Sequence[Field] = field(default_factory=tuple)
    blockers: Sequence[Problem] = field(default_factory=tuple)
    unmet: Sequence[str] = field(default_factory=tuple)
    look: str = ""
    shown: Sequence[str] = field(default_factory=tuple)


def problems_of(refusal: AssayError) -> list[Problem]:
    """A refusal as the list a page shows: its own sentence, then each problem that it does not tell
    already.
    """
    more = [problem for problem in refusal.problems if problem.message not in refusal.message]
    return [Problem(refusal.code, refusal.message, refusal.field), *more]


def confirmed(
    admin: WorkplaceAdmin,
    request: HttpRequest,
    *,
    title: str,
    confirm: Confirm,
    work: Callable[[QueryDict], str],
    about: Model | None = None,
) -> HttpResponse:
    """Ask on GET; on POST do the work and go back with its message, or show the refusal beside what
    was typed.
    """
    admin.refuse_unless_may_view(request)
    frame = {"title": title, **({} if about is None else {"original": Crumb(about, title)})}
    if request.method != "POST":
        return admin.page(request, "admin/assay/confirm.html", {**frame, "confirm": confirm})
    try:
        message = work(request.POST)
    except AssayError as refusal:
        found = problems_of(refusal)
        again = replace(confirm, fields=filled(confirm.fields, request.POST.dict(), found))
        context = {**frame, "confirm": again, "problems": found, "refusal": "This was not done."}
        return admin.page(request, "admin/assay/confirm.html", context, status=status_of(refusal))
    messages.success(request, message)
    return HttpResponseRedirect(confirm.back)


def _linked(problem: Problem, fields: Mapping[str, str]) -> str:
    """The problem, with a link to its field where a form for it is known."""
    where = fields.get(problem.field or "")
    return (
        format_html('{} <a href="{}">Open the field</a>', problem.message, where)
        if where
        else problem.message
    )


def posted(
    admin: WorkplaceAdmin,
    request: HttpRequest,
    *,
    title: str,
    back: str,
    work: Callable[[QueryDict], str],
    fields: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Do what a small form on a page asks for; refusals become messages, all at once. GET only
    leads back.

    ``fields``: what a problem is about → the page on which it is mended; each problem is linked to
    its own.

    Who may not do it at all is told so on a page of its own, with the status that says it.
    """
    admin.refuse_unless_may_view(request)
    if request.method == "POST":
        try:
            messages.success(request, work(request.POST))
        except Forbidden as refusal:
            return admin.page(
                request,
                "admin/assay/refused.html",
                {"title": title, "problems": problems_of(refusal)},
                status=status_of(refusal),
            )
        except AssayError as refusal:
            for problem in problems_of(refusal):
                messages.error(request, _linked(problem, fields or {}))
    return HttpResponseRedirect(back)

"""In the demo only: one person plays every role, by switching between the demo's users."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model, login
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from experiments.admin.base import WorkplaceAdmin, may
from experiments.core.permissions import Action
from experiments.core.types import Role
from experiments.selectors.cast import CAST, Member
from experiments.selectors.concerns import concerns

_BACKEND = "experiments.http.logins.PatientBackend"


def switch(admin: WorkplaceAdmin, request: HttpRequest) -> HttpResponse:
    """Log in as another of the demo's users. Outside the demo there is no such page."""
    if not settings.DEMO:
        raise Http404("no such page")
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    member = _member(request.POST.get("username", ""))
    user = (
        get_user_model()
        .objects.filter(username=member.username, is_active=True, is_staff=True)
        .first()
    )
    if user is None:
        raise Http404("no such demo user")
    login(request, user, backend=_BACKEND)
    messages.info(request, f"You act as {member.name}, {_role(member)}.")
    return HttpResponseRedirect(_next(request))


def frame(request: HttpRequest) -> dict[str, Any]:
    """What the header needs: the cast, in the demo, for people who are logged in; for admins what
    is wrong with the installation.
    """
    if not request.user.is_authenticated:
        return {}
    if not settings.DEMO:
        return {"concerns": concerns() if may(request, Action.ADMINISTER) else []}
    cast = [{"username": m.username, "first": m.name.split()[0], "role": _role(m)} for m in CAST]
    return {
        "demo_cast": cast,
        "acting_known": request.user.get_username() in {m.username for m in CAST},
    }


def _member(username: str) -> Member:
    found = next((m for m in CAST if m.username == username), None)
    if found is None:
        raise Http404("no such demo user")
    return found


def _role(member: Member) -> str:
    return "QA" if member.role is Role.QA else member.role.value.replace("_", " ")


def _next(request: HttpRequest) -> str:
    """Back to where the switch was, if that is a page of ours."""
    wanted = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else reverse("admin:index")

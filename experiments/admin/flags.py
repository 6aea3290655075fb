"""Flags: switch one, change its default, see what it serves."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path, reverse

from experiments.admin.base import Crumb, WorkplaceAdmin, actor_of, may
from experiments.admin.doing import Confirm, confirmed, problems_of
from experiments.admin.experiment_sections import changes
from experiments.admin.fields import (
    Field,
    filled,
    read_choice,
    read_json,
    reason_field,
    written_json,
)
from experiments.admin.template_filters import compact
from experiments.admin.wiring_section import of_flag
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, InvalidInput
from experiments.core.figures import listed
from experiments.core.life.lifecycle import SERVING
from experiments.core.permissions import Action
from experiments.core.serving.served_now import served_now
from experiments.core.serving.value_schema import parse_schema, suggested
from experiments.core.types import FlagType
from experiments.http.errors import status_of
from experiments.models import ChangeLogEntry, Flag, Variant
from experiments.selectors import serving
from experiments.selectors.experiments import is_member
from experiments.services.serving import flags

_LIKE = """{
  "type": "object",
  "properties": {
    "model": {"type": "string", "enum": ["small", "large"]},
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "prompt": {"type": "string", "format": "multiline"}
  },
  "required": ["model"]
}"""
_SCHEMA_HELP = (
    "Where there is none yet, one is suggested from what the flag serves. Properties of type string, number, integer or boolean; "
    "with enum, minimum, maximum, maxLength, format: multiline, title, description. Empty: none."
)


def _switch_consequence(flag: Flag, after: bool) -> str:
    """What switching does, with the names of what it touches."""
    touched = [
        f"experiment “{one.name}” ({one.status.replace('_', ' ')})"
        for one in flag.experiments.filter(status__in=SERVING)
    ]
    touched += [
        f"the rollout of “{one.variant.name}”"
        for one in flag.rollouts.filter(closed_at=None).select_related("variant")
    ]
    if after:
        again = f" {listed(touched)} goes on, and its clock counts again." if touched else ""
        return f"everybody gets what runs on the flag again, within a few seconds.{again}"
    said = f"everybody gets the default value {compact(flag.default_value)} within a few seconds."
    if not touched:
        return f"{said} Nothing runs on the flag now."
    return f"{said} This stops {listed(touched)}: nobody gets a variant, no data arrive, and the clock does not count until it is on again."


_REMOTE = (
    "GrowthBook's SDKs no longer find the flag in their features and serve their own default, unless they evaluate"
    " remotely. OpenFeature, the REST API and our SDK answer as before. Choose this when units have ids outside ASCII"
    " and an SDK hashes them in another way."
)
_LOCAL = "GrowthBook's SDKs decide the flag by themselves again, within one poll."


@admin.register(Flag)
class FlagAdmin(WorkplaceAdmin):
    """Keys that code asks for, with or without an experiment."""

    add_right = Action.SWITCH_FLAG
    list_display = ("key", "value_type", "enabled", "default_value", "client_visible", "owner")
    list_filter = ("enabled", "client_visible", "value_type")
    search_fields = ("key", "description")
    list_select_related = ("owner",)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A flag without an experiment."""
        self.refuse_unless_may_add(request)
        back = reverse("admin:experiments_flag_changelist")
        confirm = Confirm("A new flag", "Create the flag", back, fields=_new_fields())
        if request.method != "POST":
            return self.page(
                request, "admin/assay/confirm.html", {"title": "New flag", "confirm": confirm}
            )
        try:
            made = flags.create_flag(actor_of(request), utc_now(), **_read_new(request.POST))
        except AssayError as refusal:
            found = problems_of(refusal)
            again = Confirm(
                "A new flag",
                "Create the flag",
                back,
                fields=filled(_new_fields(), request.POST.dict(), found),
            )
            return self.page(
                request,
                "admin/assay/confirm.html",
                {"title": "New flag", "confirm": again, "problems": found},
                status=status_of(refusal),
            )
        messages.success(request, f"Flag {made.key} is created; it serves its default.")
        return HttpResponseRedirect(reverse("admin:experiments_flag_change", args=(made.pk,)))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        flag = _found(object_id)
        experiments = list(flag.experiments.select_related("owner").order_by("-updated_at"))
        running = next((e for e in experiments if e.status in SERVING), None)
        rollouts = list(
            flag.rollouts.select_related("variant", "experiment").order_by("-created_at")
        )
        log = ChangeLogEntry.objects.filter(object_type="flag", object_label=flag.key)[:30]
        schema = parse_schema(flag.schema)
        context = {
            "title": flag.key,
            "properties": schema.properties,
            "closed": schema.closed,
            "original": Crumb(flag, f"flag {flag.key}"),
            "flag": flag,
            "experiments": experiments,
            "serving": running,
            "rollout": next((r for r in rollouts if r.closed_at is None), None),
            "rollouts": rollouts,
            "gets": served_now(serving.current().catalogue, flag.key, utc_now()).sentence,
            "may_switch": may(
                request, Action.SWITCH_FLAG, member=self._own(request, flag, experiments)
            ),
            "entries": [(entry, changes(entry.before, entry.after)) for entry in log],
            "snippets": of_flag(request, flag),
            "may_make_keys": may(request, Action.ADMINISTER),
        }
        return self.page(request, "admin/assay/flag.html", context)

    def switch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Switch a flag on or off."""
        flag = _found(str(pk))
        after = not flag.enabled
        word = "on" if after else "off"
        confirm = Confirm(
            f"Switch flag {flag.key} {word}?",
            f"Switch {word}",
            reverse("admin:experiments_flag_change", args=(pk,)),
            consequence=_switch_consequence(flag, after),
            fields=[reason_field()],
            danger=not after,
            tone="" if after else "warn",
        )

        def work(data: QueryDict) -> str:
            flags.switch(
                actor_of(request),
                utc_now(),
                flag_key=flag.key,
                enabled=after,
                reason=data.get("reason", "").strip(),
            )
            return f"Flag {flag.key} is switched {word}."

        return confirmed(self, request, title=flag.key, confirm=confirm, work=work)

    def default_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Change what a flag serves when nothing else decides."""
        flag = _found(str(pk))
        value = Field(
            "value",
            f"Default value (JSON, {flag.value_type})",
            "json",
            written_json(flag.default_value),
            required=True,
        )
        confirm = Confirm(
            f"Change the default of {flag.key}?",
            "Change the default",
            reverse("admin:experiments_flag_change", args=(pk,)),
            consequence="everybody who is in no experiment and no rollout gets the new value within one poll.",
            fields=[value, reason_field()],
        )

        def work(data: QueryDict) -> str:
            default = _read_value(data.get("value", ""), "value")
            flags.set_default(
                actor_of(request),
                utc_now(),
                flag_key=flag.key,
                default_value=default,
                reason=data.get("reason", "").strip(),
            )
            return f"Flag {flag.key} has a new default."

        return confirmed(self, request, title=flag.key, confirm=confirm, work=work)

    def schema_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say which keys the flag's objects have."""
        flag = _found(str(pk))
        served = Variant.objects.filter(experiment__flag=flag).values_list("config", flat=True)
        begin = flag.schema or suggested([flag.default_value, *served])
        field = Field(
            "schema",
            "Schema (JSON)",
            "json",
            written_json(begin),
            rows=14,
            placeholder=_LIKE,
            help=_SCHEMA_HELP,
        )
        confirm = Confirm(
            f"Change the schema of {flag.key}?",
            "Change the schema",
            reverse("admin:experiments_flag_change", args=(pk,)),
            consequence="nothing that is served changes; drafts on it are edited by these fields, and told where they step outside.",
            fields=[field, reason_field()],
        )

        def work(data: QueryDict) -> str:
            schema = read_json(data.get("schema", ""), "schema", "Schema", empty={})
            flags.set_schema(
                actor_of(request),
                utc_now(),
                flag_key=flag.key,
                schema=schema,
                reason=data.get("reason", "").strip(),
            )
            return f"Flag {flag.key} has a new schema."

        return confirmed(self, request, title=flag.key, confirm=confirm, work=work)

    def clients_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let client keys read a flag, or hide it from them."""
        flag = _found(str(pk))
        visible = not flag.client_visible
        confirm = Confirm(
            f"Show {flag.key} to client keys?" if visible else f"Hide {flag.key} from client keys?",
            "Show it" if visible else "Hide it",
            reverse("admin:experiments_flag_change", args=(pk,)),
            consequence="its values and all its variants can be read in browsers and apps, within one poll."
            if visible
            else "browsers and apps no longer find the flag and use their own defaults, within one poll.",
            fields=[reason_field()],
            tone="warn",
        )

        def work(data: QueryDict) -> str:
            reason = data.get("reason", "").strip()
            flags.show_to_clients(
                actor_of(request), utc_now(), flag_key=flag.key, visible=visible, reason=reason
            )
            return f"Flag {flag.key} is {'open to' if visible else 'hidden from'} client keys."

        return confirmed(self, request, title=flag.key, confirm=confirm, work=work)

    def remote_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Leave a flag out of what SDKs decide by themselves, or put it back in."""
        flag = _found(str(pk))
        remote = not flag.remote_only
        confirm = Confirm(
            f"Let only Assay decide {flag.key}?" if remote else f"Let SDKs decide {flag.key}?",
            "Decide it here" if remote else "Let SDKs decide",
            reverse("admin:experiments_flag_change", args=(pk,)),
            consequence=_REMOTE if remote else _LOCAL,
            fields=[reason_field()],
            tone="warn",
        )

        def work(data: QueryDict) -> str:
            flags.decide_remotely(
                actor_of(request),
                utc_now(),
                flag_key=flag.key,
                remote_only=remote,
                reason=data.get("reason", "").strip(),
            )
            who = "Assay alone" if remote else "SDKs too"
            return f"From the next poll on, {who} decide{'s' if remote else ''} flag {flag.key}."

        return confirmed(self, request, title=flag.key, confirm=confirm, work=work)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/switch/", wrap(self.switch_view), name="flag_switch"),
            path("<int:pk>/default/", wrap(self.default_view), name="flag_default"),
            path("<int:pk>/schema/", wrap(self.schema_view), name="flag_schema"),
            path("<int:pk>/clients/", wrap(self.clients_view), name="flag_clients"),
            path("<int:pk>/remote/", wrap(self.remote_view), name="flag_remote"),
            *super().get_urls(),
        ]

    def _own(self, request: HttpRequest, flag: Flag, experiments: list[Any]) -> bool:
        return flag.owner_id == request.user.pk or any(
            is_member(actor_of(request), e) for e in experiments[:5]
        )


def _found(object_id: str) -> Flag:
    flag = (
        Flag.objects.select_related("owner").filter(pk=object_id).first()
        if object_id.isascii() and object_id.isdigit()
        else None
    )
    if flag is None:
        raise Http404("no such flag")
    return flag


def _new_fields() -> list[Field]:
    return [
        Field(
            "key",
            "Key",
            required=True,
            help="What your code asks for: letters, digits, dot, dash and underscore.",
        ),
        Field(
            "value_type",
            "Type",
            "select",
            value=FlagType.BOOLEAN,
            choices=[(t.value, t.value) for t in FlagType],
        ),
        Field("default_value", "Default value (JSON)", "json", "false", rows=2, required=True),
        Field(
            "client_visible",
            "Client keys may read it",
            "checkbox",
            help="Prompts and models do not belong into browsers.",
        ),
        Field("description", "Description", "textarea", rows=2),
    ]


def _read_new(data: QueryDict) -> dict[str, Any]:
    return {
        "key": data.get("key", "").strip(),
        "value_type": read_choice(FlagType, data.get("value_type", ""), "value_type", "Type"),
        "default_value": _read_value(data.get("default_value", ""), "default_value"),
        "client_visible": bool(data.get("client_visible")),
        "description": data.get("description", "").strip(),
    }


def _read_value(text: str, where: str) -> Any:
    if not text.strip():
        raise InvalidInput('A value is needed, as JSON: true, 0.6, "text" or {}.', where)
    return read_json(text, where, "Default value")

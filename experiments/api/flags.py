"""Flags for tools: issue one, read them, switch one, change its default."""

from __future__ import annotations

from typing import Any

import msgspec
from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from msgspec import UNSET, UnsetType
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.api import shown
from experiments.api.bodies import Text
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput, NotFound
from experiments.core.types import FlagType, Scope
from experiments.http.doors import Door, identity, read
from experiments.http.filters import FlagFilters
from experiments.http.idempotency import idempotent
from experiments.http.pages import filtered, page, parameters
from experiments.http.parsing import MAX_DOCUMENT_STRING
from experiments.models import Flag
from experiments.services.serving import flags


class FlagBody(msgspec.Struct, forbid_unknown_fields=True):
    key: Text
    type: FlagType = FlagType.OBJECT
    default: Any = None  # Any: a value of the flag's type, which the service checks
    client_visible: bool = False
    description: Text = ""


class FlagPatch(msgspec.Struct, forbid_unknown_fields=True):
    reason: Text = ""
    enabled: bool | UnsetType = UNSET
    default: Any = UNSET  # Any: as above
    schema: dict[str, Any] | UnsetType = UNSET  # Any: what the core reads as a schema
    client_visible: bool | UnsetType = UNSET
    remote_only: bool | UnsetType = UNSET


class Flags(Door):
    """``GET`` lists all flags; ``POST`` issues one."""

    scopes = (Scope.READ, Scope.MANAGEMENT)
    scopes_by_method = {"POST": (Scope.MANAGEMENT,)}

    @extend_schema(
        operation_id="flags_list", parameters=parameters(FlagFilters), responses=OpenApiTypes.OBJECT
    )
    def get(self, request: Request) -> Response:
        return Response(
            page(
                request,
                filtered(request, FlagFilters, Flag.objects.order_by("key")),
                "flags",
                shown.flag,
            )
        )

    @extend_schema(request=FlagBody, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        body = read(request, FlagBody, max_string=MAX_DOCUMENT_STRING)
        made = flags.create_flag(
            identity(request).actor,
            utc_now(),
            key=body.key,
            value_type=body.type,
            default_value=body.default,
            client_visible=body.client_visible,
            description=body.description,
        )
        return Response(shown.flag(made), status=201)


class OneFlag(Door):
    """``GET`` reads it; ``PATCH`` switches it, changes its default or schema, shows it to client
    keys or keeps SDKs from deciding it.
    """

    scopes = (Scope.READ, Scope.MANAGEMENT)
    scopes_by_method = {"PATCH": (Scope.MANAGEMENT,)}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, key: str) -> Response:
        return Response(shown.flag(_flag(key)))

    @extend_schema(request=FlagPatch, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, key: str) -> Response:
        body = read(request, FlagPatch, max_string=MAX_DOCUMENT_STRING)
        actor, now = identity(request).actor, utc_now()
        sent = (body.enabled, body.default, body.client_visible, body.remote_only, body.schema)
        if all(value is UNSET for value in sent):
            names = "enabled, default, schema, client_visible, remote_only"
            raise InvalidInput(f"send {names} or several of them, with a reason", "enabled")
        with transaction.atomic():
            if body.enabled is not UNSET:
                flags.switch(
                    actor, now, flag_key=_flag(key).key, enabled=body.enabled, reason=body.reason
                )
            if body.default is not UNSET:
                flags.set_default(
                    actor,
                    now,
                    flag_key=_flag(key).key,
                    default_value=body.default,
                    reason=body.reason,
                )
            if body.schema is not UNSET:
                flags.set_schema(
                    actor, now, flag_key=_flag(key).key, schema=body.schema, reason=body.reason
                )
            if body.client_visible is not UNSET:
                flags.show_to_clients(
                    actor,
                    now,
                    flag_key=_flag(key).key,
                    visible=body.client_visible,
                    reason=body.reason,
                )
            if body.remote_only is not UNSET:
                flags.decide_remotely(
                    actor,
                    now,
                    flag_key=_flag(key).key,
                    remote_only=body.remote_only,
                    reason=body.reason,
                )
        return Response(shown.flag(_flag(key)))


def _flag(key: str) -> Flag:
    found = Flag.objects.filter(key=key).first()
    if found is None:
        raise NotFound(f"flag {key[:128]!r}: there is none of this key", "flag")
    return found

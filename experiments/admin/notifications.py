"""Who is told what: subscriptions, the outbox, and what could not be delivered."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path, reverse

from experiments.admin.base import WorkplaceAdmin, actor_of, may
from experiments.admin.doing import Confirm, confirmed, posted, problems_of
from experiments.admin.fields import Field, filled, read_choice, reason_field
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.messages.notices import CHOICES, NoticeKind
from experiments.core.messages.retries import ATTEMPTS
from experiments.core.permissions import Action
from experiments.http.errors import status_of
from experiments.http.packing import showing_secret
from experiments.http.spoken import SpokenFilter, spoken
from experiments.models import Delivery, Experiment, OutboxMessage, Subscription
from experiments.outgoing.channels import Channel
from experiments.selectors.experiments import resolve
from experiments.selectors.subscriptions import deliveries_visible_to, shown_address, visible_to
from experiments.services.ground import delivery
from experiments.services.people import subscriptions

LIST = "admin:experiments_subscription_changelist"
CHANNELS = [
    (Channel.EMAIL.value, "e-mail"),
    (Channel.WEBHOOK.value, "webhook: JSON, signed"),
    (Channel.SLACK.value, "Slack: an incoming webhook of Slack's, or one that reads its format"),
]
SHOWN = 30


@admin.register(Subscription)
class SubscriptionAdmin(WorkplaceAdmin):
    """One's own mailbox for everybody; webhooks and other addresses for admins."""

    add_right = Action.VIEW
    list_display = (
        "name",
        "channel",
        "where",
        "experiment",
        "what",
        "active",
        "owner",
        "created_at",
    )
    list_filter = ("channel", "active")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return visible_to(actor_of(request))

    @admin.display(description="To")
    def where(self, row: Subscription) -> str:
        return shown_address(row)

    @admin.display(description="About")
    def what(self, row: Subscription) -> str:
        return ", ".join(row.kinds) or "everything"

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Subscribe; the answer to this POST is the only time that a webhook's secret is shown."""
        self.refuse_unless_may_add(request)
        fields, title = _fields(request), "New subscription"
        if request.method != "POST":
            confirm = Confirm("New subscription", "Subscribe", reverse(LIST), fields=fields)
            return self.page(
                request, "admin/assay/confirm.html", {"title": title, "confirm": confirm}
            )
        try:
            row, secret = subscriptions.subscribe(
                actor_of(request), utc_now(), **_read(request.POST)
            )
        except AssayError as refusal:
            found = problems_of(refusal)
            confirm = Confirm(
                "New subscription",
                "Subscribe",
                reverse(LIST),
                fields=filled(fields, request.POST.dict(), found),
            )
            context = {"title": title, "confirm": confirm, "problems": found}
            return self.page(
                request, "admin/assay/confirm.html", context, status=status_of(refusal)
            )
        return self._made(request, row, secret) if secret else HttpResponseRedirect(_page(row.pk))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = _found(request, object_id)
        latest = row.deliveries.exclude(state=Delivery.State.DIGEST).select_related("message")[
            :SHOWN
        ]
        context = {
            "title": row.name,
            "row": row,
            "where": shown_address(row),
            "what": [CHOICES[NoticeKind(kind)] for kind in row.kinds],
            "deliveries": latest,
            "waiting": row.deliveries.filter(state=Delivery.State.DIGEST).count(),
        }
        return self.page(request, "admin/assay/subscription.html", context)

    def switch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Switch it off, or on again."""
        row = _found(request, str(pk))

        def work(data: QueryDict) -> str:
            subscriptions.switch(
                actor_of(request), utc_now(), subscription_id=pk, active=not row.active
            )
            return f"{row.name} is switched {'off' if row.active else 'on'}."

        return posted(self, request, title=row.name, back=_page(pk), work=work)

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a message now."""
        row = _found(request, str(pk))

        def work(data: QueryDict) -> str:
            subscriptions.send_test(actor_of(request), utc_now(), subscription_id=pk)
            return "The test was taken."

        return posted(self, request, title=row.name, back=_page(pk), work=work)

    def secret_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Another signing secret, shown once."""
        row = _found(request, str(pk))
        confirm = Confirm(
            f"Another secret for {row.name}?",
            "Make another secret",
            _page(pk),
            danger=True,
            fields=[reason_field()],
        )
        context: dict[str, Any] = {"title": row.name, "confirm": confirm}
        if request.method != "POST":
            return self.page(request, "admin/assay/confirm.html", context)
        try:
            reason = request.POST.get("reason", "")
            row, secret = subscriptions.renew_secret(
                actor_of(request), utc_now(), subscription_id=pk, reason=reason
            )
        except AssayError as refusal:
            return self.page(
                request,
                "admin/assay/confirm.html",
                {**context, "problems": problems_of(refusal)},
                status=status_of(refusal),
            )
        return self._made(request, row, secret)

    def _made(self, request: HttpRequest, row: Subscription, secret: str) -> HttpResponse:
        return showing_secret(
            self.page(
                request,
                "admin/assay/subscription_made.html",
                {"title": row.name, "row": row, "secret": secret},
            )
        )

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/switch/", wrap(self.switch_view), name="subscription_switch"),
            path("<int:pk>/test/", wrap(self.test_view), name="subscription_test"),
            path("<int:pk>/secret/", wrap(self.secret_view), name="subscription_secret"),
            *super().get_urls(),
        ]


@admin.register(OutboxMessage)
class OutboxMessageAdmin(WorkplaceAdmin):
    """What happened and is to be told, newest first; who is told stands under deliveries."""

    list_display = ("at", spoken("kind"), "title", "experiment", "addressed_at")
    list_filter = (("kind", SpokenFilter),)
    list_select_related = ("experiment",)
    search_fields = ("title", "text", "experiment__key")
    fields = ("at", "kind", "title", "text", "experiment", "key", "uuid", "addressed_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).filter(subscription__isnull=True)


@admin.register(Delivery)
class DeliveryAdmin(WorkplaceAdmin):
    """Messages on their way. A dead letter was tried as often as the schedule has it; a person may
    try again.
    """

    list_display = (
        "message",
        "subscription",
        "state",
        "attempts",
        "next_attempt_at",
        "delivered_at",
        "error",
    )
    list_filter = ("state",)
    search_fields = ("message__title", "subscription__name", "error")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return deliveries_visible_to(actor_of(request))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = _delivery(request, object_id)
        return self.page(
            request,
            "admin/assay/delivery.html",
            {"title": row.message.title, "row": row, "attempts": ATTEMPTS},
        )

    def retry_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Put a dead letter on its way again."""
        row = _delivery(request, str(pk))
        back = reverse("admin:experiments_delivery_change", args=(pk,))
        confirm = Confirm(
            f"Send “{row.message.title}” again?",
            "Send again",
            back,
            fields=[reason_field(required=False)],
        )

        def work(data: QueryDict) -> str:
            delivery.retry(
                actor_of(request), utc_now(), delivery_id=pk, reason=data.get("reason", "").strip()
            )
            return "It is on its way again."

        return confirmed(self, request, title=row.message.title, confirm=confirm, work=work)

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "<int:pk>/retry/",
                self.admin_site.admin_view(self.retry_view),
                name="delivery_retry",
            ),
            *super().get_urls(),
        ]


def _fields(request: HttpRequest) -> list[Field]:
    """An admin chooses where to; everybody else gets it in their own mailbox, whose address is
    asked for where it is not known.
    """
    where = [
        Field("channel", "Through", "select", value=Channel.EMAIL.value, choices=CHANNELS),
        Field(
            "address",
            "Address",
            help="https://… for webhooks; it is not shown again. Empty for e-mail: your own mailbox.",
        ),
    ]
    own = [
        Field(
            "address",
            "Your e-mail address",
            "email",
            required=True,
            help="Your account has none yet. It is kept with your account.",
        )
    ]
    mine = (
        []
        if User.objects.filter(pk=actor_of(request).user_id or 0).exclude(email="").exists()
        else own
    )
    kinds = [Field(f"kind_{kind}", label, "checkbox", value="1") for kind, label in CHOICES.items()]
    return [
        Field("name", "Name", required=True, placeholder="on call"),
        *(where if may(request, Action.ADMINISTER) else mine),
        Field("experiment", "Only about the experiment", placeholder="key; empty for all"),
        *kinds,
    ]


def _read(data: QueryDict) -> dict[str, Any]:
    chosen = [kind for kind in CHOICES if data.get(f"kind_{kind}")]
    reference = data.get("experiment", "").strip()
    about: Experiment | None = resolve(reference) if reference else None
    return {
        "name": data.get("name", "").strip(),
        "channel": read_choice(
            Channel, data.get("channel", Channel.EMAIL.value), "channel", "Through"
        ),
        "address": data.get("address", ""),
        "experiment": about,
        "kinds": [] if len(chosen) == len(CHOICES) else chosen,
    }


def _page(pk: int) -> str:
    return reverse("admin:experiments_subscription_change", args=(pk,))


def _found(request: HttpRequest, object_id: str) -> Subscription:
    rows = visible_to(actor_of(request))
    row = rows.filter(pk=object_id).first() if object_id.isascii() and object_id.isdigit() else None
    if row is None:
        raise Http404("no such subscription")
    return row


def _delivery(request: HttpRequest, object_id: str) -> Delivery:
    rows = deliveries_visible_to(actor_of(request))
    row = rows.filter(pk=object_id).first() if object_id.isascii() and object_id.isdigit() else None
    if row is None:
        raise Http404("no such delivery")
    return row

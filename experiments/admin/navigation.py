"""The sidebar, by what people do."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

from experiments.admin.base import may
from experiments.core.permissions import Action


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups and pages of the sidebar."""
    return [
        {
            "items": [
                _item("Overview", "home", "index"),
                _item("Experiments", "science", "experiments_experiment_changelist"),
                _item("Timeline", "view_timeline", "experiments_timeline"),
            ]
        },
        {
            "title": "Serving",
            "separator": True,
            "items": [
                _item("Flags", "flag", "experiments_flag_changelist"),
                _item("Overrides", "person_pin", "experiments_override_changelist"),
                _item("Exclusion lists", "block", "experiments_exclusionlist_changelist"),
                _item("Segments", "groups", "experiments_segment_changelist"),
                _item("Public attributes", "public", "experiments_publicattribute_changelist"),
                _item("Global holdout", "front_hand", "experiments_globalholdout_changelist"),
                _item("Layers", "layers", "experiments_layer_changelist"),
            ],
        },
        {
            "title": "Learning",
            "separator": True,
            "items": [
                _item("Metrics", "monitoring", "experiments_metric_changelist"),
                _item("Decisions", "gavel", "analytics_decision_changelist"),
                _item("Model prices", "payments", "analytics_modelprice_changelist"),
                _item("Report templates", "description", "analytics_reporttemplate_changelist"),
            ],
        },
        {
            "title": "Tools",
            "separator": True,
            "items": [
                _item("Sample size", "calculate", "sample_size_calculator"),
                _item("A/A calibration", "balance", "aa_calibration"),
                _item("Events", "list_alt", "event_browser"),
                _item("Why this user?", "person_search", "why_this_user"),
                _item("Troubleshooting", "help", "troubleshooting"),
            ],
        },
        {
            "title": "Notifications",
            "separator": True,
            "items": [
                _item("Subscriptions", "notifications", "experiments_subscription_changelist"),
                _item("Deliveries", "outgoing_mail", "experiments_delivery_changelist"),
                _item("Outbox", "outbox", "experiments_outboxmessage_changelist"),
            ],
        },
        {
            "title": "Settings",
            "separator": True,
            "items": [
                _item("Policies", "policy", "experiments_policy_changelist"),
                _item(
                    "People",
                    "group",
                    "auth_user_changelist",
                    "experiments.admin.navigation.administers",
                ),
                _item(
                    "API keys",
                    "key",
                    "experiments_apikey_changelist",
                    "experiments.admin.navigation.administers",
                ),
                _item("Failed work", "report", "experiments_failedwork_changelist"),
                _item("Changelog", "history", "experiments_changelogentry_changelist"),
            ],
        },
    ]


def administers(request: HttpRequest) -> bool:
    """Keys are for admins."""
    return bool(request.user.is_authenticated) and may(request, Action.ADMINISTER)


def style(request: HttpRequest) -> str:
    """Our stylesheet."""
    return static("experiments/assay.css")


def favicon(request: HttpRequest) -> str:
    """Our sign in the browser's tab."""
    return static("experiments/favicon.svg")


def script(request: HttpRequest) -> str:
    """Our script."""
    return static("experiments/assay.js")


def _item(title: str, icon: str, name: str, permission: str | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}")}
    return item if permission is None else {**item, "permission": permission}

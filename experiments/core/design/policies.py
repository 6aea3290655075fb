"""Policies: what a risk class demands before launch, as data.

Shares are thousandths of all units. The shipped four follow the sources: Standard wants a valid
design and nothing more; the AI classes want control of at least 5 % and test arms of 5 to 20,
5 to 10, or exactly 5 %, and every checklist item.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from experiments.core.errors import InvalidInput
from experiments.core.types import JSON, GuardrailRule, Item

ALL_ITEMS: tuple[Item, ...] = tuple(Item)


@dataclass(frozen=True)
class Window:
    """When automatic promotion may happen, in the experiment's time zone; Monday is day 0,
    ``to_hour`` is excluded.
    """

    days: tuple[int, ...] = (0, 1, 2, 3)
    from_hour: int = 10
    to_hour: int = 16
    always: bool = False


@dataclass(frozen=True)
class PolicyRules:
    """One risk class's demands. ``holdback`` is in thousandths of the tested audience.

    ``max_test`` and ``min_test`` bound each test arm's share, ``min_control`` the control's;
    ``weeks`` is the clock of a decision; ``notice_hours`` holds when promotion happens outside
    the window.
    """

    requires: tuple[Item, ...] = ()
    dark_launch: bool = False
    min_control: int = 0
    min_test: int = 0
    max_test: int = 1000
    weeks: int = 1
    dark_min_hours: int = 24
    dark_min_requests: int = 1000
    window: Window = Window()
    notice_hours: int = 4
    holdback: int = 0
    guardrail_rule: GuardrailRule = GuardrailRule.SAFE

    def needs(self, item: Item) -> bool:
        """Whether a launch waits for this item."""
        return item in self.requires

    def as_json(self) -> dict[str, JSON]:
        """The form kept in ``policies.rules`` and frozen into an iteration."""
        document = asdict(self)
        document["requires"] = [item.value for item in self.requires]
        document["window"] = {**asdict(self.window), "days": list(self.window.days)}
        document["guardrail_rule"] = self.guardrail_rule.value
        return document


def rules_from_json(document: Mapping[str, JSON]) -> PolicyRules:
    """Rules back from their JSON; refuses what is unknown or out of range, naming it."""
    unknown = sorted(set(document) - set(PolicyRules.__dataclass_fields__))
    if unknown:
        raise InvalidInput(f"policy rules: unknown {', '.join(unknown)}", unknown[0])
    plain = {
        name: _whole(value, name)
        for name, value in document.items()
        if name not in _PARSERS and name != "dark_launch"
    }
    parsed = {name: _PARSERS[name](value) for name, value in document.items() if name in _PARSERS}
    rules = PolicyRules(**plain, **parsed, dark_launch=document.get("dark_launch") is True)  # type: ignore[arg-type]  # names checked above
    _refuse_impossible(rules)
    return rules


def _refuse_impossible(rules: PolicyRules) -> None:
    if not 0 <= rules.min_test <= rules.max_test <= 1000:
        raise InvalidInput(
            f"policy rules: test share from {rules.min_test} to {rules.max_test} thousandths holds no share",
            "max_test",
        )
    if rules.min_control + rules.min_test > 1000:
        raise InvalidInput(
            "policy rules: control and one test arm at their minimum exceed all units",
            "min_control",
        )
    if rules.needs(Item.DARK_LAUNCH) and not rules.dark_launch:
        raise InvalidInput(
            "policy rules: the dark launch item is required, but the policy has no dark launch",
            "dark_launch",
        )


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput(
            f"policy rules: {name} must be a whole number of 0 or more, found {value!r}", name
        )
    return value


def _items(value: object) -> tuple[Item, ...]:
    if not isinstance(value, list) or any(entry not in list(Item) for entry in value):
        raise InvalidInput(
            f"policy rules: requires must list items among {', '.join(Item)}, found {value!r}",
            "requires",
        )
    return tuple(item for item in Item if item in value)


def _window(value: object) -> Window:
    if not isinstance(value, dict) or set(value) - set(Window.__dataclass_fields__):
        raise InvalidInput(
            f"policy rules: window must have days, from_hour, to_hour and always, found {value!r}",
            "window",
        )
    days = value.get("days", [])
    if not isinstance(days, list) or any(day not in range(7) for day in days):
        raise InvalidInput(
            f"policy rules: window days must be numbers from 0 (Monday) to 6, found {days!r}",
            "window",
        )
    hours = (
        _whole(value.get("from_hour", 0), "from_hour"),
        _whole(value.get("to_hour", 24), "to_hour"),
    )
    if not hours[0] < hours[1] <= 24:
        raise InvalidInput(
            f"policy rules: window hours {hours[0]} to {hours[1]} hold no hour of a day", "window"
        )
    return Window(tuple(days), *hours, always=value.get("always") is True)


def _guardrail_rule(value: object) -> GuardrailRule:
    if value not in list(GuardrailRule):
        raise InvalidInput(
            f"policy rules: guardrail_rule must be one of {', '.join(GuardrailRule)}, found {value!r}",
            "guardrail_rule",
        )
    return GuardrailRule(str(value))


_PARSERS = {"requires": _items, "window": _window, "guardrail_rule": _guardrail_rule}


@dataclass(frozen=True)
class ShippedPolicy:
    """A policy that every installation starts with."""

    key: str
    name: str
    description: str
    rules: PolicyRules
    default: bool = False


def _ai(max_test: int) -> PolicyRules:
    return PolicyRules(
        requires=ALL_ITEMS,
        dark_launch=True,
        min_control=50,
        min_test=50,
        max_test=max_test,
        weeks=2,
        holdback=50,
    )


SHIPPED: tuple[ShippedPolicy, ...] = (
    ShippedPolicy(
        "standard",
        "Standard",
        "A valid design is enough; no launch checks, no approval, no holdback.",
        PolicyRules(),
        default=True,
    ),
    ShippedPolicy(
        "ai-low",
        "AI, low risk",
        "Every check; control of at least 5 %, each test arm 5 to 20 % of all units.",
        _ai(200),
    ),
    ShippedPolicy(
        "ai-medium",
        "AI, medium risk",
        "Every check; control of at least 5 %, each test arm 5 to 10 % of all units.",
        _ai(100),
    ),
    ShippedPolicy(
        "ai-high",
        "AI, high risk",
        "Every check; control of at least 5 %, each test arm exactly 5 % of all units.",
        _ai(50),
    ),
)

"""The sentence of each state: what is known, with effect, interval and guardrails, in words of
every day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from experiments.core.cards.facts import CardFacts, Reading
from experiments.core.cards.states import ENDINGS, State
from experiments.core.figures import counted, listed, moment
from experiments.core.life.checklist import TITLES
from experiments.core.types import Item

MOST_EFFECTS = 3
MOST_NEEDED = 12
"""More conditions than a plan usually has; beyond these the others are counted."""
UNDECIDED: Mapping[str, str] = {
    "no_primary": "it has no primary metric",
    "never_looked": "its primary metric has no conversion window, and it has no planned end",
}
MASKED = "Results are hidden: the data cannot be used as they are"

_DARK, _APPROVAL = TITLES[Item.DARK_LAUNCH], TITLES[Item.APPROVAL]
_OWN_CHECK = "QA's check of it"


def sentence_of(facts: CardFacts, state: State) -> str:
    """What to say of the experiment; the effect stands in the first sentence wherever there is
    one.
    """
    more = facts.plan if facts.status in ("draft", "dark_launch", "running") else ""
    return " ".join(filter(None, (_SENTENCES[state](facts), _arms_being_stopped(facts), more)))


def _arms_being_stopped(facts: CardFacts) -> str:
    """Stops of single arms that serve already and are not booked yet."""
    if not facts.urgent_arms:
        return ""
    said = listed([f"“{arm}” ({stop})" for arm, stop in facts.urgent_arms.items()])
    return f"Being switched off: {said}. Its units get the flag's value already; the stop will be booked in a moment."


def effect_of(facts: CardFacts) -> str:
    """The primary metric's difference with its interval, arm by arm; empty where none can be
    said.
    """
    read = facts.reading
    if read is None or read.masked:
        return ""
    shown = "; ".join(map(str, read.effects[:MOST_EFFECTS]))
    left = len(read.effects) - MOST_EFFECTS
    return shown + (f"; {counted(left, 'more arm')}" if left > 0 else "")


def guardrails_of(facts: CardFacts) -> str:
    """How the guardrails are, worst first: ``Cost breached; 2 not proven safe yet; 1 safe``."""
    read = facts.reading
    if read is None or read.masked or not read.guardrails:
        return ""
    names = {
        word: [name for name, verdict in read.guardrails.items() if verdict == word]
        for word in ("breach", "unknown", "safe")
    }
    if len(names["safe"]) == len(read.guardrails):
        return (
            f"all {len(names['safe'])} guardrails safe"
            if len(names["safe"]) > 1
            else f"guardrail {names['safe'][0]} safe"
        )
    said = [f"{listed(names['breach'])} breached" if names["breach"] else ""]
    said += [
        f"{len(names[word])} {what}"
        for word, what in (("unknown", "not proven safe yet"), ("safe", "safe"))
        if names[word]
    ]
    return "guardrails: " + ", ".join(filter(None, said))


def needed(unmet: Iterable[object]) -> str:
    """What a promotion still needs, in a few words."""
    return listed([getattr(one, "what", str(one)) for one in unmet], most=MOST_NEEDED)


def _told(lead: str, facts: CardFacts, *, guardrails: bool = True) -> str:
    """A lead with the numbers behind it, as one sentence."""
    numbers = "; ".join(
        filter(None, (effect_of(facts), guardrails_of(facts) if guardrails else ""))
    )
    return f"{lead}: {numbers}." if numbers else f"{lead}."


# Before launch.


def _draft(facts: CardFacts) -> str:
    """What a draft needs now; the dark launch and the approval come later."""
    late = {_DARK} | ({_APPROVAL} if _DARK in facts.missing else set())
    return f"Draft. {_waiting([title for title in facts.missing if title not in late])}"


def _ready_for_dark_launch(facts: CardFacts) -> str:
    return "Ready for its dark launch" + (
        "; the launch approval follows." if _APPROVAL in facts.missing else "."
    )


def _dark(facts: CardFacts) -> str:
    return f"In dark launch. {_waiting([_OWN_CHECK if title == _DARK else title for title in facts.missing])}"


def _waiting(missing: list[str]) -> str:
    return f"Waiting for: {listed(missing)}."


# While it runs.


def _switched_off(facts: CardFacts) -> str:
    lead = f"Flag “{facts.flag}” is switched off ({facts.off}): everybody gets the default, and the clock does not count."
    effect = effect_of(facts)
    return f"{lead} So far: {effect}." if effect else lead


def _silent(facts: CardFacts) -> str:
    hours = facts.hours or 0.0
    time = counted(round(hours / 24), "day") if hours >= 48 else counted(round(hours), "hour")
    return f"No data: it has run for {time} and no unit was exposed."


def _failed(facts: CardFacts) -> str:
    return _told(
        "The newest analysis failed, so nobody knows whether it does harm now. Last known", facts
    )


def _masked(facts: CardFacts) -> str:
    why = facts.reading.masked_why if facts.reading else ""
    return f"{MASKED}, and nothing is decided." + (f" {why[:1].upper()}{why[1:]}." if why else "")


def _keep(facts: CardFacts) -> str:
    read = facts.reading or Reading()
    said = _told("Keep running", facts)
    if read.undecided:
        said += f" Nothing will ever be decided: {UNDECIDED[read.undecided]}."
    elif read.unmet:
        said += f" For a promotion it still needs: {needed(read.unmet)}."
    return said + _stopped_arms(read)


def _stopped_arms(read: Reading) -> str:
    return f" Switched off: {listed([f'“{arm}”' for arm in read.stopped])}." if read.stopped else ""


def _stopping(facts: CardFacts) -> str:
    if facts.urgent is not None:
        wait = "Nobody gets a variant: the stop is served already and will be booked in a moment."
        return f"Being stopped by {facts.urgent}. {_no_harm(facts)}{wait}"
    read = facts.reading or Reading()
    if read.over_budget:
        return "Its budget is used up: it is being stopped."
    if read.breaches:
        return f"Guardrail breached: {_breaches(read)}. The harmful arm is being switched off."
    return _told(f"“{read.arm}” is worse and is being switched off", facts, guardrails=False)


def _breach(facts: CardFacts) -> str:
    read = facts.reading or Reading()
    return f"Guardrail breached: {_breaches(read)}. {_sentence(effect_of(facts))}A person decides whether it goes on."


def _degraded(facts: CardFacts) -> str:
    read = facts.reading or Reading()
    return f"Guardrail breached: {_breaches(read)}. {_sentence(effect_of(facts))}It runs on, and nothing is promoted or widened."


def _breaches(read: Reading) -> str:
    return (
        "a guardrail, hidden with the results"
        if read.masked
        else "; ".join(map(str, read.breaches[:MOST_EFFECTS]))
    )


def _sentence(text: str) -> str:
    return f"{text}. " if text else ""


def _winner(facts: CardFacts) -> str:
    read = facts.reading or Reading()
    return _told(
        f"“{read.arm}” wins and meets every condition" if read.arm else "Every condition is met",
        facts,
    )


def _promoting(facts: CardFacts) -> str:
    return f"{_winner(facts)} It will be promoted automatically."


def _held(facts: CardFacts) -> str:
    return f"{_winner(facts)} Its promotion is on hold."


def _promotable(facts: CardFacts) -> str:
    return f"{_winner(facts)} A person promotes it."


def _unproven(facts: CardFacts) -> str:
    read = facts.reading or Reading()
    said = _told(
        "The last planned analysis is done, and not every condition of a promotion is met", facts
    )
    return said + (f" Not met: {needed(read.unmet)}." if read.unmet else "")


def _overdue(facts: CardFacts) -> str:
    return _told("The planned end has passed before any analysis could decide", facts)


_CONCLUSIONS = {
    "worse": "every new variant is worse",
    "no_effect": "there is no effect worth having",
}


def _concluding(facts: CardFacts) -> str:
    why = _CONCLUSIONS.get(
        facts.reading.conclusion if facts.reading else "", "the data give no answer"
    )
    return _told(f"It is being ended: {why}. Last numbers", facts)


# Stopped and over.


def _paused(facts: CardFacts) -> str:
    by = f" by {facts.stop}" if facts.stop else ""
    return f"Paused{by}. Nobody gets a variant. {_sentence(effect_of(facts))}".strip()


def _stopped_by_person(facts: CardFacts) -> str:
    return f"Stopped by {facts.stop or 'a person'}. {_no_harm(facts)}Nobody gets a variant."


def _no_harm(facts: CardFacts) -> str:
    known = _sentence(effect_of(facts))
    return f"No analysis has found harm. {known}"


def _stopped_for_harm(facts: CardFacts) -> str:
    read = facts.reading or Reading()
    found = f" Found: {_breaches(read)}." if read.breaches else ""
    return f"Stopped for harm by {facts.stop or 'a person'}.{found} Nobody gets a variant."


def _promoted(facts: CardFacts) -> str:
    said = _told(f"Promoted “{facts.rollout.arm}”" if facts.rollout else "Promoted", facts)
    return f"{said}{_held_back(facts)}{_conditions_missed(facts)}"


def _conditions_missed(facts: CardFacts) -> str:
    """That a person promoted against the rules stays visible."""
    if not facts.missed or facts.ended is None:
        return ""
    return f" {facts.ended.by} promoted it although not every condition was met: {listed(facts.missed)}."


def _held_back(facts: CardFacts) -> str:
    out = facts.rollout
    if out is None or not out.open:
        return " The rollout is closed." if out is not None else ""
    if not out.holdback or out.holdback_until is None:
        return ""
    return f" {out.holdback / 10:g} % keep “{out.control}” until {moment(out.holdback_until)}."


def _ended(lead: str) -> Callable[[CardFacts], str]:
    return lambda facts: _told(lead, facts) + _ended_by(facts)


def _ended_by(facts: CardFacts) -> str:
    return f" Ended by {facts.ended}." if facts.ended else ""


def _archived(facts: CardFacts) -> str:
    return f"Archived. {_SENTENCES[ENDINGS[facts.outcome]](facts)}"


_SENTENCES: Mapping[State, Callable[[CardFacts], str]] = {
    State.DRAFT: _draft,
    State.READY_FOR_DARK_LAUNCH: _ready_for_dark_launch,
    State.READY_TO_START: lambda facts: "Ready for launch.",
    State.DARK_LAUNCH: _dark,
    State.READY_TO_GO_LIVE: lambda facts: "In dark launch. Ready to go live.",
    State.STARTED: lambda facts: (
        "Running. The first analysis follows within minutes of the first exposures."
    ),
    State.SILENT: _silent,
    State.SWITCHED_OFF: _switched_off,
    State.FAILED: _failed,
    State.MASKED: _masked,
    State.KEEP: _keep,
    State.STOPPING: _stopping,
    State.BREACH: _breach,
    State.DEGRADED: _degraded,
    State.PROMOTING: _promoting,
    State.PROMOTION_HELD: _held,
    State.PROMOTABLE: _promotable,
    State.UNPROVEN: _unproven,
    State.OVERDUE: _overdue,
    State.CONCLUDING: _concluding,
    State.PAUSED: _paused,
    State.STOPPED_BY_A_PERSON: _stopped_by_person,
    State.STOPPED_FOR_HARM: _stopped_for_harm,
    State.IMPORTED: _ended("Imported: it ran elsewhere, and nothing is decided by these data"),
    State.PROMOTED: _promoted,
    State.REVERTED: _ended("Promoted once, then returned to control"),
    State.HARMFUL: _ended("Ended because it did harm"),
    State.WORSE: _ended("Ended: the change is worse than control"),
    State.NO_EFFECT: _ended("Ended: no effect worth having"),
    State.INCONCLUSIVE: _ended("Ended without an answer"),
    State.CANCELLED: _ended("Cancelled"),
    State.ENDED: _ended("Completed"),
    State.ARCHIVED: _archived,
}

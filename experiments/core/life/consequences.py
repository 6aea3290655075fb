"""What users will see after a change, said before it is made: one sentence table for every door.

The sentences describe serving (who gets which value from the next catalogue poll on), never
permission or readiness: those are the lifecycle's and the checklist's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from experiments.core.types import DARK_BUCKETS, REST_DAYS, DarkMode


@dataclass(frozen=True)
class ServedExperiment:
    """What the sentences need to know: the flag, who is randomised, how much traffic, which arms.

    ``traffic`` is the share when serving begins; with a ramp ``ramp_to`` is the one that its steps
    lead to.
    """

    flag: str
    unit: str
    traffic: int
    control: str
    tests: Sequence[str]
    dark_mode: str
    holdback: int = 0
    anew: bool = False
    ramp_to: int | None = None

    @property
    def share(self) -> str:
        """The experiment's share of all units, as per cent."""
        return f"{self.traffic / 10:g} %"

    @property
    def arms(self) -> str:
        """The test arms by name, as a list a person reads."""
        *front, last = [f"“{name}”" for name in self.tests] or ["the test variants"]
        return f"{', '.join(front)} and {last}" if front else last


def _dark(facts: ServedExperiment) -> str:
    units = f"{DARK_BUCKETS / 10:g} % of {facts.unit}s"
    if facts.dark_mode == DarkMode.SHADOW:
        seen = (
            f"{units} are marked for {facts.arms}, but everybody still sees “{facts.control}” (shadow): "
            "your application runs both and reports."
        )
    else:
        seen = f"{units} will see {facts.arms}; everybody else sees what they see today."
    return (
        f"{seen} As many control twins are watched beside them. Nothing of this enters the results."
    )


def _start(facts: ServedExperiment) -> str:
    rest = (
        ""
        if facts.traffic >= 1000
        else f" The other {(1000 - facts.traffic) / 10:g} % see what they see today."
    )
    return (
        f"{facts.share} of {facts.unit}s enter the experiment and get “{facts.control}” or {facts.arms} on flag “{facts.flag}”."
        f"{rest}{_ramp(facts)} The design is frozen from now on; a change needs a new launch."
    )


def _ramp(facts: ServedExperiment) -> str:
    if facts.ramp_to is None:
        return ""
    return f" The share rises by steps to {facts.ramp_to / 10:g} %, and nobody who is in changes variant."


def _promote(facts: ServedExperiment) -> str:
    held = (
        f" {facts.holdback / 10:g} % of them are held back on “{facts.control}” to measure what lasts."
        if facts.holdback
        else " Nobody is held back: the policy has no holdback."
    )
    return (
        f"The audience that was tested gets the winner on flag “{facts.flag}”.{held} Results freeze. "
        "The owner can return to control for 28 days."
    )


_DEFAULT = "everybody gets the flag's rollout, or else its default value, within one poll"


def _resume(facts: ServedExperiment) -> str:
    if facts.anew:
        return (
            f"{facts.share} of {facts.unit}s get “{facts.control}” or {facts.arms} again, randomised anew in a new iteration: many will "
            f"change variant, and counting begins at zero.{_ramp(facts)}"
        )
    return f"The same {facts.unit}s get “{facts.control}” or {facts.arms} again, each the variant they had."


_SENTENCES: Mapping[str, Callable[[ServedExperiment], str]] = {
    "start_dark_launch": _dark,
    "abort_dark_launch": lambda f: (
        f"The dark launch ends: {_DEFAULT}. The experiment returns to draft and can be edited."
    ),
    "start": _start,
    "pause": lambda f: (
        f"While paused, {_DEFAULT}. {f.unit.capitalize()}s keep their variant for when it resumes."
    ),
    "resume": _resume,
    "emergency_stop": lambda f: (
        f"Serving stops at once: {_DEFAULT}. A running experiment is paused, and only a second person can resume it; "
        "a dark launch returns to draft."
    ),
    "conclude": lambda f: (
        f"The experiment ends without a winner: {_DEFAULT}. Results freeze, and its buckets rest {REST_DAYS} days before another "
        "experiment may have them."
    ),
    "promote": _promote,
    "archive": lambda f: (
        "Nothing changes for users: a rollout that a promotion left stays. The experiment leaves the everyday lists."
    ),
    "return_to_control": lambda f: (
        f"The rollout on flag “{f.flag}” closes: everybody gets “{f.control}” within one poll."
    ),
}


def sentence(verb: str, facts: ServedExperiment) -> str:
    """What users will see after ``verb``; every verb of the lifecycle has its sentence."""
    return _SENTENCES[verb](facts)

"""One metric asked about: which formula answers for it, and what the formula is told."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.core.planner.inputs import MetricInputs, Rules, Traffic
from analytics.core.stats import power
from analytics.core.stats.power import Given, Guard, SampleSize
from analytics.core.stats.power.safety import GivenOfSafety


@dataclass(frozen=True, slots=True)
class MetricQuestion:
    """One metric with all that its formulas are told; a guardrail that is not required is asked as
    if it were one more.
    """

    metric: MetricInputs
    traffic: Traffic
    rules: Rules
    required: int
    primaries: int

    @property
    def sizes(self) -> bool:
        """Whether the plan is as large as this metric asks for."""
        return self.metric.role == "primary" or (
            self.metric.role == "guardrail" and self.metric.required
        )

    @property
    def guard(self) -> Guard:
        """The metric as something to be kept."""
        m = self.metric
        return Guard(
            baseline=m.baseline,
            sd=None if m.is_rate else m.sd,
            relative=m.relative,
            better=m.better,
        )

    @property
    def effect(self) -> float:
        """The change to find, in the metric's units, in the direction that is better."""
        return self.metric.change

    @property
    def margin(self) -> float:
        """The harm allowed, in the margin's kind."""
        return self.metric.margin or 0.0

    def finding(self, looks: int) -> Given:
        """Terms of finding an effect: the primary hypotheses share α and the looks, others have
        neither.
        """
        primary = self.metric.role == "primary"
        return {
            "alpha": self.rules.alpha,
            "power": self.rules.power,
            "ratio": self.traffic.ratio,
            "hypotheses": len(self.traffic.tests) * self.primaries if primary else 1,
            "correlation": self.metric.correlation,
            "design_effect": self.metric.design_effect,
            "looks": looks if primary else 1,
            "test_arms": len(self.traffic.tests),
        }

    def proving(self, looks: int) -> GivenOfSafety:
        """Terms of showing safety: β is shared by the required guardrails and the primary metric.

        Without the covariate: the verdict on a guardrail reads values as they are.
        """
        return {
            "required_guardrails": self.required if self.metric.required else self.required + 1,
            "ratio": self.traffic.ratio,
            "looks": looks,
            "test_arms": len(self.traffic.tests),
            "design_effect": self.metric.design_effect,
        }

    def size(self, looks: int, wanted: float | None = None) -> SampleSize:
        """Units for the metric's target; ``wanted`` is another power than the rules'."""
        m = self.metric
        if m.role == "guardrail":
            return power.safe_sample(self.guard, self.margin, **self.proving(looks))
        terms = self.finding(looks)
        if wanted is not None:
            terms["power"] = wanted
        if m.is_rate:
            base = m.baseline or 0.0
            return power.proportion_sample(base, base + self.effect, **terms)
        return power.mean_sample(m.sd or 0.0, self.effect, **terms)

    def chance(self, control: float) -> float:
        """How surely the target is met with so many units of control."""
        m = self.metric
        if m.role == "guardrail":
            return power.safe_power(
                self.guard, self.margin, control, **self.proving(self.rules.looks)
            )
        terms = self.finding(self.rules.looks)
        if m.is_rate:
            base = m.baseline or 0.0
            return power.proportion_power(base, base + self.effect, control, **terms)
        return power.mean_power(m.sd or 0.0, self.effect, control, **terms)

    def smallest(self, control: float) -> float | None:
        """The smallest effect in the metric's units, or margin in its kind, that so many units
        answer.
        """
        m, looks = self.metric, self.rules.looks
        if not control > 0:
            return None
        if m.role == "guardrail":
            return power.safe_margin(self.guard, control, **self.proving(looks))
        if m.is_rate:
            return power.proportion_mde(
                m.baseline or 0.0, control, direction=m.better, **self.finding(looks)
            )
        return power.mean_mde(m.sd or 0.0, control, **self.finding(looks))

"""What to do with an experiment now: looks, guardrails, the clock, and the decision."""

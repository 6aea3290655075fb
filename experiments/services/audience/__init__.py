"""Who takes part: overrides, exclusions, segments, the holdout, public attributes."""

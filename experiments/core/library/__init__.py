"""What ships: templates of experiments, metrics, guardrail presets."""

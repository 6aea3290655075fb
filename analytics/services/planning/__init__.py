"""Plans: how many units an experiment needs, and changing a plan that takes too long."""

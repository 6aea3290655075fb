"""Readings that decide nothing: segments, drift, novelty, interactions, Bayes, bandits."""

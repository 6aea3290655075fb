"""``from ab_testing.experiment_service import ExperimentService``, as the guide prints it."""

from experiments.sdk.service import ExperimentService, StatisticalAnalyzer

__all__ = ["ExperimentService", "StatisticalAnalyzer"]

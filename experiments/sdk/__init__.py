"""The client for Python: decides locally as the platform would, and tells it what happened. No Django.

`AssayClient` is all that new code needs. The other names keep code that was written to older call
styles running: an experiment manager, functions for tenants, an experiment service.
"""

from experiments.sdk.answers import AssignedVariant, Evaluation
from experiments.sdk.client import AssayClient
from experiments.sdk.outbox import Collected, Counts

__all__ = ["AssayClient", "AssignedVariant", "Collected", "Counts", "Evaluation"]

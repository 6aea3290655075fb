"""What Prometheus is told of the events that applications report. Labels come from rows, so they
are as many as there are variants.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

_ARM = ("experiment", "variant")
SECONDS = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)

REQUEST_LATENCY = Histogram(
    "request_latency_seconds", "Latency that stamped events carried.", _ARM, buckets=SECONDS
)
LLM_COST = Counter(
    "llm_cost_dollars_total",
    "Cost of stamped events: their own cost, else the metered and priced cost of their call.",
    _ARM,
)
LLM_UNPRICED = Counter(
    "llm_calls_without_price_total",
    "Metered calls of stamped events that have neither a cost nor a price; the cost leaves them out.",
    _ARM,
)
HTTP_ERRORS = Counter(
    "http_errors_total", "Stamped events that tell of a failed request or of a fallback.", _ARM
)
USER_FEEDBACK = Counter(
    "user_feedback_total", "Stamped feedback that took a side.", ("sentiment", *_ARM)
)

"""``python -m examples.leads``, with ASSAY_URL, ASSAY_KEY and ASSAY_MANAGEMENT_KEY set."""

from __future__ import annotations

from examples.leads.app import crm
from examples.wsgi import serve

serve(
    crm(
        lambda model, message: min(
            0.95, 0.3 + len(message) / 100 + (0.1 if model == "gpt-4" else 0.0)
        )
    ),
    port=8103,
)

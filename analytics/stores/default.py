"""The store that is asked where nobody names another.

ibis comes with the first question: it takes 18 MB, and a web process that is asked nothing needs
none of it.
"""

from __future__ import annotations

from analytics.stores.base import Store


def default_store() -> Store:
    """Our own PostgreSQL."""
    from analytics.stores.postgres import PostgresStore

    return PostgresStore()

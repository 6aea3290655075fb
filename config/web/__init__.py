"""The web process: from a request's bytes to Django, addresses, errors, health and metrics."""

"""``manage.py check --deploy``: what an installation should not be like in production."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import Error


@register(Tags.security, deploy=True)
def concerns_of_the_installation(
    app_configs: Any, **kwargs: Any
) -> Sequence[CheckMessage]:  # Any: as the framework passes them
    """What readyz and the admin say too; a database that does not answer is said, not passed
    over.
    """
    from experiments.selectors.concerns import found

    try:
        return [checks.Warning(one, id="assay.W001") for one in found()]
    except Error as error:
        what = f"the database cannot be asked for accounts and roles: {type(error).__name__}"
        return [
            checks.Warning(
                what,
                hint="Run the check where DATABASE_URL is set and the database answers.",
                id="assay.W002",
            )
        ]

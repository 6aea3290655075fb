"""The cast of the workplace's tests plays here too."""

from tests.experiments.admin.conftest import (  # noqa: F401  (fixtures)
    _own_catalogue,
    browser,
    draft,
    owner,
    people,
    simple,
)

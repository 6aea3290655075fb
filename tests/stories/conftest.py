from __future__ import annotations

import pytest
import time_machine

from experiments.selectors import serving
from tests.stories.company import Company, local


@pytest.fixture
def company(db, settings, tmp_path):
    """A company on Monday morning, in folders of its own."""
    settings.CATALOGUE_DIR, settings.SPOOL = tmp_path / "catalogue", tmp_path / "spool"
    serving.forget()
    with time_machine.travel(local(2, 9), tick=False) as clock:
        yield Company(clock, "rerank_v3")
    serving.forget()

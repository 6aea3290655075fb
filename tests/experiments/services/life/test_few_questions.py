"""What every launch does asks the database as little as it can."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.core.types import BUCKETS, Status
from experiments.models import Bucket, ServingDocument
from experiments.services.ground import publishing
from experiments.services.life import buckets
from tests import factories

pytestmark = pytest.mark.django_db


def test_publish__something_differs__reads_the_flags_once_and_stores_a_new_version() -> None:
    factories.experiment_in(Status.RUNNING)
    ServingDocument.objects.filter(kind="catalogue").update(body="{}")
    before = ServingDocument.objects.filter(kind="catalogue").count()
    with CaptureQueriesContext(connection) as asked:
        made = publishing.publish(factories.NOW, reason="test")
    flags = [
        query["sql"]
        for query in asked
        if query["sql"].startswith("SELECT") and 'FROM "flags"' in query["sql"]
    ]
    assert len(flags) == 1, flags
    assert ServingDocument.objects.filter(kind="catalogue").count() == before + 1
    assert f'"version":{made.version}' in made.body


def test_layer__opened__has_its_thousand_free_buckets_from_one_short_statement() -> None:
    with CaptureQueriesContext(connection) as asked:
        layer = buckets.open_layer(factories.NOW, name="feed", private=False)
    written = [
        query["sql"]
        for query in asked
        if query["sql"].lstrip().startswith("INSERT INTO layer_buckets")
    ]
    assert len(written) == 1 and len(written[0]) < 500
    found = Bucket.objects.filter(
        layer=layer,
        iteration=None,
        variant=None,
        role="",
        step=0,
        held_since=None,
        resting_until=None,
    )
    assert list(found.order_by("index").values_list("index", flat=True)) == list(range(BUCKETS))

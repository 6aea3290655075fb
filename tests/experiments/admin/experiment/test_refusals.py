"""Who opens what is not theirs gets a page of ours: what, who may, whom to ask."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.mark.parametrize("where", ["metric", "segment"])
def test_refusal__product_owner_who_may_not_add__is_told_who_may_within_the_frame(browser, where):
    answer = browser("victor").get(f"/admin/experiments/{where}/add/")
    text = answer.content.decode()
    assert answer.status_code == 403
    assert (
        "may not add to" in text
        and "this is for:" in text
        and "Ask somebody whose role it is" in text
    )
    assert "experiments/assay.css" in text


def test_refusal__names_the_roles_of_the_table(browser):
    assert (
        "this is for: data scientist, admin"
        in browser("olivia").get("/admin/experiments/metric/add/").content.decode()
    )


def test_refusal__staff_without_a_role__sees_the_page_and_no_list(db):
    client = Client()
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    answer = client.get("/admin/experiments/metric/1/version/")
    assert answer.status_code in (403, 404)
    assert "<h1>403 Forbidden</h1>" not in answer.content.decode()

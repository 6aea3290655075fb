"""Accounts in the workplace: Django's pages, the service's line in the changelog, and never nobody
left who may administer.
"""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from experiments.models import ChangeLogEntry

SECRET = "korrekt-horse-7-staple"


def fields(row: User, **changes) -> dict[str, object]:
    stands = {
        "username": row.username,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "email": row.email,
    }
    groups = [group.pk for group in row.groups.all()]
    return stands | {"is_active": "on", "is_staff": "on", "groups": groups} | changes


def line(action: str) -> ChangeLogEntry:
    return ChangeLogEntry.objects.get(action=action)


def test_add__the_account_and_who_made_it_are_written(browser) -> None:
    form = {"username": "nina", "password1": SECRET, "password2": SECRET, "usable_password": "true"}
    answer = browser("ada").post(reverse("admin:auth_user_add"), form)
    made = User.objects.get(username="nina")
    assert (answer.status_code, made.check_password(SECRET)) == (302, True)
    entry = line("account_created")
    assert (entry.object_id, entry.before, entry.after["username"], entry.after["jobs"]) == (
        str(made.pk),
        None,
        "nina",
        [],
    )
    assert entry.actor_label == "Ada" and SECRET not in json.dumps(entry.after)


def test_jobs_changed__before_and_after_are_written_once(browser, people) -> None:
    qa = Group.objects.get(name="qa")
    there = reverse("admin:auth_user_change", args=(people["victor"].pk,))
    for _ in range(2):
        assert (
            browser("ada").post(there, fields(people["victor"], groups=[qa.pk])).status_code == 302
        )
    entry = line("account_changed")
    assert (entry.before["jobs"], entry.after["jobs"]) == (["viewer"], ["qa"])
    assert list(people["victor"].groups.all()) == [qa]


@pytest.mark.parametrize(
    ("usable", "action"), [("true", "password_set"), ("false", "password_taken")]
)
def test_password__is_set_and_told_nobody(browser, people, usable, action) -> None:
    people["victor"].set_password("old")
    people["victor"].save()
    there = reverse("admin:auth_user_password_change", args=(people["victor"].pk,))
    answer = browser("ada").post(
        there, {"password1": SECRET, "password2": SECRET, "usable_password": usable}
    )
    row = User.objects.get(username="victor")
    assert (answer.status_code, row.has_usable_password(), row.check_password(SECRET)) == (
        302,
        usable == "true",
        usable == "true",
    )
    assert (line(action).before, line(action).after) == (None, None)


def test_password__that_the_rules_refuse__is_not_set(browser, people) -> None:
    there = reverse("admin:auth_user_password_change", args=(people["victor"].pk,))
    answer = browser("ada").post(
        there, {"password1": "a", "password2": "b", "usable_password": "true"}
    )
    assert answer.status_code == 200 and "password" in answer.content.decode()
    assert not ChangeLogEntry.objects.filter(action__startswith="password").exists()


@pytest.mark.parametrize(
    "change", [{"groups": []}, {"is_active": ""}, {"is_staff": ""}], ids=["job", "active", "staff"]
)
def test_last_administrator__stays(browser, people, change) -> None:
    ada = people["ada"]
    there = reverse("admin:auth_user_change", args=(ada.pk,))
    data = {name: value for name, value in fields(ada, **change).items() if value != ""}
    page = browser("ada").post(there, data, follow=True).content.decode()
    ada.refresh_from_db()
    assert "nobody who may administer would be left" in page
    assert (ada.is_active, ada.is_staff, [group.name for group in ada.groups.all()]) == (
        True,
        True,
        ["admin"],
    )
    assert not ChangeLogEntry.objects.filter(action="account_changed").exists()


def test_an_administrator_beside_others__may_go(browser, people) -> None:
    people["quinn"].groups.add(Group.objects.get(name="admin"))
    there = reverse("admin:auth_user_change", args=(people["ada"].pk,))
    browser("ada").post(there, fields(people["ada"], groups=[]))
    assert not people["ada"].groups.exists()

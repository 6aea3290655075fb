"""A request that Django does not read is its sender's fault: a refusal in the usual shape, and no
traceback in the log.
"""

from __future__ import annotations

import json
import logging
import logging.config
import re

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from config.logs import django_logging
from experiments.core.types import Scope
from tests.experiments.api.test_every_door import ALL, PLAIN, _address, _methods

MANY = "&".join(f"a{n}=1" for n in range(3000))
PATTERNS = [pytest.param(route, pattern, id=pattern.name or route) for route, pattern in ALL]


def _asked(route, pattern, doors):
    """Every method of an address, with a key that opens it and 3,000 parameters."""
    if pattern.name in PLAIN:
        scopes, method, where = PLAIN[pattern.name]
        address, headers = where(doors.key(scopes[0]))
        path, _, own = address.partition("?")
        yield APIClient().generic(
            method.upper(), path, QUERY_STRING=f"{own}&{MANY}" if own else MANY, headers=headers
        )
        return
    view = pattern.callback.view_class
    for method in _methods(pattern):
        scope = view.scopes_by_method.get(method.upper(), view.scopes)[0]
        yield getattr(doors.client(scope), method)(_address(route), QUERY_STRING=MANY)


@pytest.mark.parametrize(("route", "pattern"), PATTERNS)
def test_door__asked_with_3000_parameters__refuses_in_its_shape_without_a_traceback(
    route, pattern, doors, caplog
):
    for answer in _asked(route, pattern, doors):
        assert not [record.name for record in caplog.records if record.exc_info]
        if answer.status_code == 200:
            assert pattern.name == "growthbook-features"  # it reads no parameter
            continue
        assert answer.status_code == 400, answer.content
        if pattern.name not in PLAIN:
            assert answer.json()["error"]["code"] == "too_many_fields"
            assert "more than 1,000 parameters" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["growthbook-track", "growthbook-events"])
def test_plain_door__that_reads_parameters__says_how_many_it_takes(name, doors):
    _, method, where = PLAIN[name]
    path, _, own = where(doors.key(Scope.CLIENT))[0].partition("?")
    answer = APIClient().generic(method.upper(), path, QUERY_STRING=f"{own}&{MANY}")
    assert (answer.status_code, "more than 1,000 parameters" in answer.content.decode()) == (
        400,
        True,
    )


def _form(fields):
    return (
        b"".join(
            b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n1\r\n' % n
            for n in range(fields)
        )
        + b"--x--\r\n"
    )


MULTIPART = "multipart/form-data; boundary=x"
PAGES = {
    "parameters": {"method": "GET", "QUERY_STRING": MANY},
    "form fields": {"data": MANY.encode(), "content_type": "application/x-www-form-urlencoded"},
    "parts": {"data": _form(3000), "content_type": MULTIPART},
    "a boundary that is missing": {"data": b"x", "content_type": "multipart/form-data"},
    "a form that is too long": {
        "data": b"a=" + b"x" * 3_000_000,
        "content_type": "application/x-www-form-urlencoded",
    },
}


@pytest.mark.django_db
@pytest.mark.parametrize("sent", PAGES)
def test_page__sent_what_django_does_not_read__is_a_400_and_a_warning_without_a_traceback(
    sent, capsys
):
    asked = dict(PAGES[sent])
    logging.config.dictConfig(django_logging(level="INFO", requests=False))
    try:
        answer = APIClient().generic(asked.pop("method", "POST"), "/admin/login/", **asked)
    finally:
        logging.config.dictConfig(settings.LOGGING)
    printed = capsys.readouterr().err
    assert answer.status_code == 400, answer.content
    assert "Traceback" not in printed
    lines = [json.loads(line) for line in printed.splitlines() if re.match(r"\{", line)]
    assert all(line["level"] == "warning" and "exception" not in line for line in lines)
    assert lines

"""The report's text: read by everybody, written by data scientists and admins, refused with its
faults.
"""

from __future__ import annotations

from analytics.models import ReportTemplate
from experiments.models import ChangeLogEntry

ADD = "/admin/analytics/reporttemplate/add/"
OWN = "# {{title}}\n\n{{verdict}}\n\n{{results}}\n\n{{guardrails}}\n\n{{health}}\n\n{{versions}}\n"


def test_template__written_by_a_data_scientist__becomes_the_next_version_with_a_line(browser):
    client = browser("dmitri")
    assert "{{amendments}}" in client.get(ADD).content.decode()
    answer = client.post(ADD, {"text": OWN, "reason": "shorter"}, follow=True)
    assert answer.status_code == 200
    row = ReportTemplate.objects.get(shipped=False)
    assert (row.version, row.text, row.created_by.username) == (2, OWN, "dmitri")
    assert ChangeLogEntry.objects.get(action="report_template_revised").reason == "shorter"
    assert (
        "{{verdict}}"
        in client.get(f"/admin/analytics/reporttemplate/{row.pk}/change/").content.decode()
    )


def test_template__with_an_unknown_place__is_shown_again_with_the_fault(browser):
    text = browser("dmitri").post(ADD, {"text": OWN + "{{secret}}", "reason": ""}).content.decode()
    assert "{{secret}} is no place of a report" in text
    assert not ReportTemplate.objects.exists()


def test_template__others__read_it_only(browser):
    client = browser("victor")
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, {"text": OWN}).status_code == 403

"""The workplace: lists, pages and forms. They read selectors and change things through services
alone.
"""

from django.contrib import admin

from . import (
    audience,
    experiment_list,
    flags,
    keys,
    library,
    notifications,
    people,
    public_attributes,
    records,
    segments,
    work,
)
from .login_form import PatientForm

admin.site.login_form = PatientForm

__all__ = [
    "audience",
    "experiment_list",
    "flags",
    "keys",
    "library",
    "notifications",
    "people",
    "public_attributes",
    "records",
    "segments",
    "work",
]

"""OpenFeature's doors, mounted at the root in every role. A flag's key is whatever follows, since
clients do not encode it.
"""

from __future__ import annotations

from django.urls import URLPattern, re_path

from experiments.api.ofrep import all_flags, one_flag

urlpatterns: list[URLPattern] = [
    re_path(r"^ofrep/v1/evaluate/flags/(?P<key>[\s\S]+?)/?\Z", one_flag, name="ofrep-one"),
    re_path(r"^ofrep/v1/evaluate/flags/?\Z", all_flags, name="ofrep-all"),
]

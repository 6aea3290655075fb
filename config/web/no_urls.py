"""The addresses of a process that answers nobody: Celery checks addresses as a worker starts, and
so would load every page.
"""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

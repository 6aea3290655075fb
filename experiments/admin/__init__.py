"""The workplace: lists, pages and forms. They read selectors and change things through services alone."""

from . import audience, experiment_list, flags, keys, library, notifications, people, public_attributes, records, segments, work

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

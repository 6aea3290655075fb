"""The report of an experiment: frozen facts in, a document out, written as Markdown, JSON or (by a
template) HTML.
"""

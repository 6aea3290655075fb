"""Drafts: create them, edit them, and write their arms and planned metrics."""

"""Example experiments with people, history and a known truth: what a new installation can be tried
on.
"""

from .loading import load

__all__ = ["load"]

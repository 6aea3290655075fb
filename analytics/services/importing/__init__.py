"""Bringing in data from outside: experiments, geo pilots, prices."""

"""How large a value may be: squares of it, summed over all units, must stay numbers that a database
can hold.
"""

LARGEST = 1e100
"""One value of 10²⁰⁰ would end every analysis of its metric: its square is beyond a float."""


def fits(value: float) -> bool:
    """Whether a value is a number that totals can be made of; not for NaN and infinity."""
    return abs(value) <= LARGEST

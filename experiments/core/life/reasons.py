"""What counts as a reason for a step that the rules advise against: a sentence that somebody can
read next year.
"""

from __future__ import annotations

FEWEST_LETTERS = 20
FEWEST_WORDS = 4
WANTED = f"a sentence of at least {FEWEST_WORDS} different words that says why"


def says_why(text: str) -> bool:
    """Whether a text can be a reason: some words that are not all the same, never ``try`` or ``test
    test test test``.
    """
    words = {word.strip(".,;:!?").lower() for word in text.split()} - {""}
    return len(words) >= FEWEST_WORDS and sum(letter.isalpha() for letter in text) >= FEWEST_LETTERS

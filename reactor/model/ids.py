"""How ids are spelled for people: 63-bit integers as 13 lower-case characters.

The alphabet is that of Douglas Crockford (https://www.crockford.com/base32.html), without i, l, o
and u. Spelled ids sort as their integers do, and a double click takes one whole.
"""

from __future__ import annotations

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Ten bits at once: ids are spelled several times for each event.
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_LENGTH = 13
_LIMIT = 1 << 63
_LONGEST_SHOWN = 100
# What people read wrongly, in both cases.
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_VALUES |= {"o": 0, "i": 1, "l": 1}
_VALUES |= {character.upper(): value for character, value in _VALUES.items()}


def spell_id(number: int) -> str:
    """Return the spelling of an id. Raises ValueError for a number that is no id."""
    if not 0 <= number < _LIMIT:
        raise ValueError(f"{number} is not between 0 and 2**63 - 1")
    return (
        f"{_ALPHABET[number >> 60]}{_PAIRS[number >> 50 & 1023]}{_PAIRS[number >> 40 & 1023]}"
        f"{_PAIRS[number >> 30 & 1023]}{_PAIRS[number >> 20 & 1023]}{_PAIRS[number >> 10 & 1023]}"
        f"{_PAIRS[number & 1023]}"
    )


def parse_id(text: str) -> int:
    """Return the id that `text` spells, in either case and with o for 0, i or l for 1.

    Raises ValueError for anything that `spell_id` does not write otherwise.
    """
    number = 0
    # Bounded, so that text from outside cannot make it count for minutes; its length is judged below.
    for character in text[: _LENGTH + 1]:
        if character not in _VALUES:
            raise ValueError(
                f"{text[:_LONGEST_SHOWN]!r} is not an id: {character!r} occurs in none"
            )
        number = number << 5 | _VALUES[character]
    if len(text) != _LENGTH or number >= _LIMIT:
        raise ValueError(
            f"{text[:_LONGEST_SHOWN]!r} is not an id; one has {_LENGTH} characters, like 0r5kg8w2dq0k3"
        )
    return number

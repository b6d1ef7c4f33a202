"""Cells of published tables in one vocabulary: age, sex, skin type, yes or no, site.

Each function takes the text of a cell that is not blank and returns clean text, or None for a value
that says nothing or makes no sense; a source reports those and leaves the cell blank.
"""

import re

__all__ = ["age", "fitzpatrick", "flag", "number", "plain", "sex", "site"]

_NOTHING = {"", "-", "?", "n/a", "na", "nan", "none", "null", "unk", "unknown", "not known"}
_ROMAN = ("I", "II", "III", "IV", "V", "VI")
_SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}
_FLAGS = {"true": "true", "yes": "true", "1": "true", "false": "false", "no": "false", "0": "false"}
_OLDEST = 120


def plain(text: str) -> str | None:
    """Return text as it is, unless it only says that nothing is known.

    Example:
        >>> plain("nevus"), plain("Unknown")
        ('nevus', None)
    """
    return None if text.strip().lower() in _NOTHING else text.strip()


def site(text: str) -> str | None:
    """Return a body site in lower case with spaces.

    Example:
        >>> site("LOWER_LEG"), site("head/neck"), site("unknown")
        ('lower leg', 'head/neck', None)
    """
    known = plain(text)
    return None if known is None else known.lower().replace("_", " ")


def number(text: str) -> str | None:
    """Return a finite number of 0 or more without a trailing `.0`.

    Example:
        >>> number("6.0"), number("5.5"), number("-3"), number("nan"), number("big")
        ('6', '5.5', None, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return f"{value:g}" if 0 <= value < 1e6 else None


def age(text: str) -> str | None:
    """Return an age in years, 0 to 120.

    Example:
        >>> age("45.0"), age("-1"), age("150")
        ('45', None, None)
    """
    years = number(text)
    return years if years is not None and float(years) <= _OLDEST else None


def sex(text: str) -> str | None:
    """Return female or male.

    Example:
        >>> sex("FEMALE"), sex("OTHER_OR_UNSPECIFIED")
        ('female', None)
    """
    return _SEXES.get(text.lower())


def flag(text: str) -> str | None:
    """Return true or false.

    Example:
        >>> flag("True"), flag("NO"), flag("UNK")
        ('true', 'false', None)
    """
    return _FLAGS.get(text.lower())


def fitzpatrick(text: str) -> str | None:
    """Return a Fitzpatrick skin type, I to VI.

    Args:
        text: 3, 3.0, FST3 or III.

    Example:
        >>> fitzpatrick("3.0"), fitzpatrick("FST6"), fitzpatrick("II"), fitzpatrick("-1")
        ('III', 'VI', 'II', None)
    """
    if text.upper() in _ROMAN:
        return text.upper()
    found = re.fullmatch(r"(?:FST)?([1-6])(?:\.0)?", text, flags=re.IGNORECASE)
    return _ROMAN[int(found.group(1)) - 1] if found else None

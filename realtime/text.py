"""Makes text from files and users safe to print."""

import unicodedata

# Marks that reorder the text around them: they can make a terminal show another sentence than is written.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def unprintable(text: str, *, allow: str = "") -> str | None:
    """The first character of `text` that must not reach a terminal, as an escape; None if there is none."""
    for character in text:
        hidden = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _BIDI_CONTROLS
        if hidden and character not in allow:
            return ascii(character)
    return None


def printable(value: object, limit: int = 160) -> str:
    """`value` as one safe line: odd characters escaped, long text shortened."""
    text = "".join(c if unprintable(c) is None else ascii(c)[1:-1] for c in str(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"

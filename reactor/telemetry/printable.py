"""Text from outside, made fit for one line of a log, a terminal or a label."""

from __future__ import annotations

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str, *, longest: int | None = None) -> str:
    """Return `text` with everything that does not print spelled out, so that it stays on its line.

    That covers control characters and terminal sequences, line separators, bidirectional overrides
    and the lone surrogates of undecodable file names: the answer always encodes as UTF-8. With
    `longest` the answer is cut to that many characters, the last of them an ellipsis.
    """
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isprintable():
        return text
    escaped = "".join(
        character if character.isprintable() else _escape(character) for character in text
    )
    if longest is not None and len(escaped) > longest:
        escaped = escaped[: longest - 1] + "…"
    return escaped


def _escape(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

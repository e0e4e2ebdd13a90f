"""Names as agents send them: octets of any kind, made into one safe line of text."""

from __future__ import annotations

import unicodedata

MAX_LENGTH = 255  # DisplayString and SnmpAdminString (RFC 2579, RFC 3411) end there


def line(raw: bytes | None, *, limit: int = MAX_LENGTH) -> str:
    """Text on one line with no control character in it, so that a terminal, a log and a page can show it.

    UTF-8 where it is, Latin-1 otherwise (older agents); line ends and other controls become one blank, invisible
    format characters (which turn text around) go; octets without anything printable become `0x..`.
    """
    if not raw:
        return ""
    raw = raw.rstrip(b"\0")
    try:
        decoded = raw.decode("utf-8")
    except UnicodeDecodeError:
        decoded = raw.decode("latin-1")
    kept: list[str] = []
    for character in decoded:
        category = unicodedata.category(character)
        if category in {"Cc", "Zl", "Zp"}:
            if kept and kept[-1] != " ":
                kept.append(" ")
        elif not category.startswith("C"):
            kept.append(character)
    text = "".join(kept).strip()
    if raw.strip() and not text:
        text = "0x" + raw.hex()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def is_clean(raw: bytes | None) -> bool:
    """Whether `line` shows it as it was sent, but for blanks and NULs at its ends."""
    if not raw:
        return True
    try:
        decoded = raw.rstrip(b"\0").decode("utf-8").strip()
    except UnicodeDecodeError:
        return False
    return decoded == line(raw)

"""Puts the names of options in the place of the Python names in an error's message."""

from __future__ import annotations

_OPENING = "open_storage: "
_NAMES = (
    ("expires_in=", "--expires-in "),
    ("if_none_match='*' ", "--if-none-match "),
)
_ONLY_NEW = "--if-none-match is not enforced"


def for_command_line(message: str) -> str:
    """Return an error's message as the user of a command line can understand it."""
    text = message.removeprefix(_OPENING)
    for name, option in _NAMES:
        text = text.replace(name, option)
    if _ONLY_NEW in text:
        text += "; write --no-clobber, which looks first whether the object exists"
    return text

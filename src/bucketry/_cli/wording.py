"""Puts the names of options in the place of the Python names in an error's message."""

from __future__ import annotations

import re

_OPENING = "open_storage: "
_NAMES = (
    ("TransferConfig: max_concurrency: ", "--concurrency: "),
    ("TransferConfig: max_bandwidth: ", "--bwlimit: "),
    ("TransferConfig: part_size: ", "--part-size: "),
    ("put its bytes as a stream", "send its bytes through standard input: upload - KEY"),
    ("provider_type '", "provider '"),
    ("expires_in=", "--expires-in "),
    ("if_none_match='*' ", "--if-none-match "),
)
_PART_SIZE = r"part_size (\d+) is outside this provider's (\d+) to (\d+) bytes"
_CAPABILITY = r" \(capabilities\.[^()]*\)"  # an attribute, for programs
_ONLY_NEW = "--if-none-match is not enforced"


def for_command_line(message: str) -> str:
    """Return an error's message as the user of a command line can understand it."""
    text = message.removeprefix(_OPENING)
    for name, option in _NAMES:
        text = text.replace(name, option)
    if _ONLY_NEW in text:
        text += "; write --no-clobber, which looks first whether the object exists"
    return re.sub(_PART_SIZE, _limits, re.sub(_CAPABILITY, "", text))


def _limits(found: re.Match[str]) -> str:
    size, smallest, largest = (f"{int(number):,}" for number in found.groups())
    return f"--part-size: {size} bytes is outside this provider's {smallest} to {largest}"

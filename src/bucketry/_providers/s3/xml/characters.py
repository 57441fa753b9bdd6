"""Which texts an XML document can hold; no parser, so that it loads quickly."""

from __future__ import annotations

import re

_FITTING = r"[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*"  # XML 1.0, § 2.2, without carriage return


def fits_xml(text: str) -> bool:
    """Return whether XML 1.0 can represent the text unchanged; a parser changes a carriage return."""
    # Nearly every key is printable. The pattern is compiled when it is needed, which takes 4 ms.
    return text.isprintable() or re.fullmatch(_FITTING, text) is not None

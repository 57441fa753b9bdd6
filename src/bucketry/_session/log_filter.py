"""Removes secrets from the DEBUG logs of botocore and aiobotocore.

Both log every step with its data: the strings to sign, signatures, session tokens, and complete responses of the
services that give credentials. Loggers belong to the whole process, and so does the filter.
"""

from __future__ import annotations

import logging
import re
import traceback

_LIBRARIES = ("botocore", "aiobotocore")
_WHOLE = frozenset({"botocore.auth", "botocore.parsers"})  # they log the text to sign, and whole responses
_LEFT_OUT = "left out by bucketry: it may hold secrets"
_HIDDEN = "***"
_NAMES = r"[\w-]*(?:authorization|signature|token|secret|secret_?(?:access_?)?key|customer-?key|assertion)(?:-?\d+)?"
_SECRET = re.compile(
    # A pair of a dict, of JSON, of a URL, of a header or of XML.
    rf"""(?ix) (?P<name> (?<![\w-]) (?:{_NAMES}) (?![\w-]) )
    (?P<between> ['"]? \s* (?: [:=,] | %3d ) \s* b? | [^<>]* > )
    (?P<value> '[^'\n]*' | "[^"\n]*" | (?<=>) [^<\n]+ | (?<![>'"]) [^\s&,;<>'"][^\n&<>'"]* )"""
)


class _Filter(logging.Filter):
    """Replaces the secrets in a record, or the whole record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, and accept it."""
        if record.name in _WHOLE:
            record.msg, record.args, record.exc_info = _LEFT_OUT, None, None
            return True
        record.msg, record.args = redacted(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redacted("".join(traceback.format_exception(*record.exc_info)).rstrip())
            record.exc_info = None
        return True


def redacted(text: str) -> str:
    """Return a text in which the values of secret names are replaced."""
    return _SECRET.sub(rf"\g<name>\g<between>{_HIDDEN}", text)


_FILTER = _Filter()


def keep_secrets() -> None:
    """Filter every logger that the two libraries have made until now; call it again after further imports."""
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if name.partition(".")[0] in _LIBRARIES and isinstance(logger, logging.Logger):
            logger.addFilter(_FILTER)  # does nothing if the logger has the filter

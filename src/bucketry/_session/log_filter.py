"""Removes secrets from the DEBUG logs of botocore and aiobotocore.

Both libraries log every step with its data: the strings to sign, signatures, session tokens, and complete responses of
the services that return credentials. Loggers belong to the whole process, so the filter applies to the whole process.
"""

from __future__ import annotations

import logging
import re
import traceback

_LIBRARIES = ("botocore", "aiobotocore")
_WHOLE = frozenset({"botocore.auth", "botocore.parsers"})  # loggers of the text to sign, and of whole responses
_LEFT_OUT = "left out by bucketry: it may hold secrets"
_HIDDEN = "***"
_NAMES = r"[\w-]*(?:authorization|signature|token|secret|secret_?(?:access_?)?key|customer-?key|assertion)(?:-?\d+)?"
_SECRET = re.compile(
    # Matches a name and its value in a dict, JSON, a URL, a header or XML.
    rf"""(?ix) (?P<name> (?<![\w-]) (?:{_NAMES}) (?![\w-]) )
    (?P<between> ['"]? \s* (?: [:=,] | %3d ) \s* b? | [^<>]* > )
    (?P<value> '[^'\n]*' | "[^"\n]*" | (?<=>) [^<\n]+ | (?<![>'"]) [^\s&,;<>'"][^\n&<>'"]* )"""
)


class _Filter(logging.Filter):
    """Replaces the secrets in a log record, or the whole text of the record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Remove the secrets from the record, and return `True`, so that it is logged."""
        if record.name in _WHOLE:
            record.msg, record.args, record.exc_info = _LEFT_OUT, None, None
            return True
        record.msg, record.args = redacted(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redacted("".join(traceback.format_exception(*record.exc_info)).rstrip())
            record.exc_info = None
        return True


def redacted(text: str) -> str:
    """Return the text with `***` for each value whose name is that of a secret."""
    return _SECRET.sub(rf"\g<name>\g<between>{_HIDDEN}", text)


_FILTER = _Filter()


def keep_secrets() -> None:
    """Filter every logger that botocore and aiobotocore have made until now; call this again after further imports."""
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if name.partition(".")[0] in _LIBRARIES and isinstance(logger, logging.Logger):
            logger.addFilter(_FILTER)  # does nothing if the logger already has the filter

"""Makes the metadata of a finished training storable, because one odd value must not cost the backup. No I/O."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from bucketry._manage.models.manifests import metadata_text

_log = logging.getLogger("bucketry")


def storable(metadata: Mapping[str, Any] | None, run: str) -> dict[str, Any] | None:
    """Return the metadata with JSON values only, and log a warning for each entry that had to be changed.

    A scalar of numpy, torch or another library with the method `item` becomes the Python number. Everything else that
    JSON does not have becomes its `str`, such as `"nan"`. If the result still cannot be stored, such as because it is
    too large, the metadata is left out.

    Args:
        metadata: The metadata that the training has set.
        run: The id of the training run, for the log.
    """
    if metadata is None:
        return None
    try:
        stored = {str(name): _as_json(value) for name, value in metadata.items()}
        metadata_text(stored)
    except Exception as error:  # noqa: BLE001 - also what a value's `str` raises
        _log.warning("training run %s: the model is backed up without its metadata: %s", run, error)
        return None
    for name, value in metadata.items():
        if not _is_json(value):
            _log.warning(
                "training run %s: metadata[%r] is no JSON value, and is stored as %.80r", run, name, stored[str(name)]
            )
    return stored


def _as_json(value: object) -> Any:  # noqa: ANN401 - a JSON value
    """Return a value as JSON can hold it."""
    if _is_plain(value):
        return value
    if isinstance(value, Mapping):
        return {str(name): _as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    item = getattr(value, "item", None)
    if callable(item):
        try:
            number = item()
        except Exception:  # noqa: BLE001 - an array of several numbers, or any other class with such a method
            number = value
        if _is_plain(number):
            return number
    return str(value)


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_json(item) for name, item in value.items())
    return all(map(_is_json, value)) if isinstance(value, list) else _is_plain(value)


def _is_plain(value: object) -> bool:
    """Return whether this is a text, a finite number, a boolean or `None`."""
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))

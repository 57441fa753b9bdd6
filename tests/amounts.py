"""How many examples the larger property tests try."""

from __future__ import annotations

from hypothesis import settings


def examples(usual: int, *, nightly: int) -> int:
    """Give the usual number of examples, or the number for `HYPOTHESIS_PROFILE=nightly`."""
    return nightly if settings.get_current_profile_name() == "nightly" else usual

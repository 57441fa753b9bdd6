"""The option --quiet of transfers."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Shell
from tests.cli.inside import Inside, inside
from tests.cli.pseudo_terminal import at_terminal

__all__ = ["inside"]


@pytest.mark.parametrize(
    "words",
    [
        ("upload", "f", "st:one", "-q"),
        ("upload", "tree", "st:k", "--quiet"),
        ("download", "st:k/f", "out", "-q"),
        ("download", "st:k/", "out", "-q"),
        ("download", "st:k/*", "out/", "-q"),
        ("cp", "-qr", "tree", "st:c"),
        ("mv", "-r", "-q", "tree", "st:c"),
        ("sync", "tree", "st:s", "-q"),
    ],
)
def test_a_quiet_transfer_prints_nothing(inside: Inside, words: tuple[str, ...]) -> None:
    """A transfer that succeeds prints nothing at all; with --json, its document is printed as before."""
    for name in ("f", "tree/f", "st/k/f"):
        inside.write(name)
    said = inside(*words, "--json")
    assert (said.code, said.err) == (0, "")
    assert "seconds" in said.document
    inside.write("tree/f")  # again, because a move has deleted it
    said = inside(*words)
    assert (said.code, said.out, said.err) == (0, "", "")


def test_a_quiet_transfer_prints_its_errors(inside: Inside) -> None:
    """What fails is printed, for one object and for one of many."""
    inside.write("tree/f")
    said = inside("download", "st:missing", "out", "-q")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("error: download: ")
    (inside.directory / "tree/loop").symlink_to(inside.directory / "tree")
    said = inside("cp", "-rq", "tree", "st:")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("failed: tree/loop: ")


@pytest.mark.slow
def test_a_quiet_transfer_shows_no_progress(bucketry: Shell) -> None:
    """A terminal shows nothing, neither progress nor summary nor the plan of a sync."""
    bucketry.write("tree/f", b"1")
    for words in (("upload", "tree", "t"), ("sync", "tree", f"file://{bucketry.directory}/store/")):
        seen = at_terminal(bucketry, *words, "--quiet")
        assert (seen.code, seen.screen) == (0, "")

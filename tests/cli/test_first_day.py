"""What a user of other programs met on the first day: hints, questions and summaries that say what is meant."""

from __future__ import annotations

import os
import termios

import pytest

from bucketry._cli.main import main
from bucketry._cli.terminal import filled
from bucketry._cli.verbs.uploads.abort import question_of
from bucketry.testing import EmbeddedS3
from tests.cli.conftest import Shell
from tests.cli.inside import Inside, inside
from tests.cli.pseudo_terminal import at_terminal

__all__ = ["inside"]


def test_a_named_place_is_shown_by_its_name(inside: Inside) -> None:
    """Texts name NAME:path, which is not the same for two servers; JSON has URLs, as before."""
    inside.write("st/g/a", b"1")
    assert inside("cp", "st:g/a", "two:x/", "--dry-run").out == "copy st:g/a → two:x/a\n"
    assert inside("cp", "-r", "st:g/", "two:x/", "--dry-run").out == "copy st:g/a → two:x/a\n"
    assert inside("cp", "-r", "st:g/", "two:x/").out.startswith("copy: st:g/ → two:x/\n")
    assert inside("cp", "st:g/a", "two:x/").out.startswith("copy: st:g/a → two:x/a\n")
    assert inside("download", "two:x/", "out").out.startswith("download: two:x/ → out\n")
    assert inside("upload", "out", "st:up/").out.startswith("upload: out → st:up/\n")
    document = inside("cp", "st:g/a", "two:x/", "--json").document
    assert document["source"] == f"file://{inside.directory}/st/g/a"
    assert document["destination"] == f"file://{inside.directory}/two/x/a"
    ran = inside("rm", "-r", "st:")
    assert (ran.code, ran.out) == (2, "")
    assert f"would delete everything in st: (file://{inside.directory}/st);" in ran.err


def test_a_sync_names_the_place_it_deletes_in(inside: Inside) -> None:
    """The question before a sync deletes names the place as it was written."""
    inside.write("two/x/gone")
    inside.write("from/kept")
    ran = inside("sync", "from", "two:x", "--delete")
    assert ran.code == 2
    assert f"delete 1 file (1 B) below two:x (file://{inside.directory}/two/x);" in ran.err


def test_hints_for_options_of_other_programs(inside: Inside) -> None:
    """-n has two meanings elsewhere, and both are named; exact sizes are those of --bytes."""
    assert "-n here (write --dry-run; or --no-clobber, to keep what is there)" in inside("cp", "-n", "a", "st:").err
    assert "exact ones: --bytes" in inside("ls", "--human-readable", "st:").err
    assert "exact ones: --bytes" in inside("du", "-H", "st:").err


@pytest.mark.parametrize(("verb", "one"), [("models", "restore"), ("datasets", "ensure"), ("uploads", "abort")])
def test_a_missing_verb_is_named(inside: Inside, verb: str, one: str) -> None:
    """A verb that needs another one names those that there are."""
    ran = inside(verb)
    assert ran.code == 2
    assert "a VERB is missing, one of: list, " in ran.err
    assert one in ran.err


def test_metadata_of_several_pairs_in_one_option(inside: Inside) -> None:
    """The form of aws is stored as one value, which is legal, and a note says so; a plain comma is no such form."""
    inside.write("f")
    ran = inside("cp", "f", "st:f", "--metadata", "a=1,b=2")
    assert ran.code == 0
    assert "--metadata sets one name: a to 1,b=2; for several, write --metadata once for each\n" in ran.err
    assert inside("head", "st:f", "--json").document["metadata"]["a"] == "1,b=2"
    assert inside("upload", "f", "st:f", "--metadata", "a=1,2", "--metadata", "b=3").err == ""


def test_a_download_of_many_objects_to_a_file(inside: Inside) -> None:
    """A file in the place of the directory is one error, also if a slash is written behind its name."""
    inside.write("st/d/1")
    inside.write("st/d/2")
    inside.write("file")
    for word in ("file", "file/"):
        ran = inside("download", "st:d/", word)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.count("\n") == 1
        assert "is a file, but many objects need a directory" in ran.err


def test_a_missing_directory_is_not_an_empty_store(inside: Inside) -> None:
    """A local store that is named, and whose directory is missing, is not found; the usual store may be new."""
    for words in (("list", "st:"), ("du", "st:"), ("list", "--url", "st:"), ("list", f"file://{inside.directory}/no/")):
        ran = inside(*words)
        assert (ran.code, ran.out) == (3, "")
        assert "there is no such directory" in ran.err
    assert inside("list").code == 0
    inside.write("st/a").unlink()
    assert inside("list", "st:").code == 0


def test_a_dot_before_a_key_is_left_out(inside: Inside) -> None:
    """`./foo` is the key `foo`, as a shell means it, in every verb; a URL's key stays as it is."""
    inside.write("f", b"data")
    url = f"file://{inside.directory}/data/storage"
    assert inside("upload", "f", "./foo", "--provider", "local").code == 0
    assert inside("upload", "f", "./", "--provider", "local").code == 0
    assert [line["key"] for line in inside("list", url, "--json").lines] == ["f", "foo"]
    assert inside("list", "./foo", "--json", "--provider", "local").lines[0]["key"] == "foo"
    refused = inside("delete", "-r", "./", "--provider", "local")
    assert refused.code == 2
    assert sorted(inside.files("data/storage")) == ["f", "foo"]


def test_what_a_plan_and_a_tag_cannot(inside: Inside) -> None:
    """The errors say what excludes what."""
    ran = inside("sync", "a", "st:", "--save-plan", "p", "--apply", "p")
    assert "--save-plan makes a plan, and --apply takes one that was made; give one of them" in ran.err
    ran = inside("models", "untag", "resnet", "latest", "--url", "st:")
    assert ran.code == 2
    assert "latest is no tag: it always names the newest version" in ran.err


def test_errors_name_options(inside: Inside) -> None:
    """The limits of options are reported with the options' names."""
    inside.write("f")
    assert "--concurrency: 0 is not within 1 and" in inside("cp", "f", "st:f", "--concurrency", "0").err
    assert "provider 's4' is unknown" in inside("list", "--provider", "s4").err
    refused = inside("presign", "st:f").err
    assert "has no presigned URLs" in refused
    assert "capabilities." not in refused
    os.mkfifo(inside.directory / "fifo")
    assert "send its bytes through standard input: upload - KEY" in inside("upload", "fifo", "st:f").err


def test_summaries_say_a_size_once(inside: Inside) -> None:
    """A size below 1 KiB has no second form, and nothing sent has no rate."""
    inside.write("f", b"123456")
    ran = inside("cp", "f", "st:f")
    assert "bytes     6\n" in ran.out
    assert "size            6 bytes\n" in inside("head", "st:f").out
    ran = inside("cp", "f", "st:f", "--no-clobber")
    assert "0 B/s" not in ran.out
    inside.write("big", bytes(3_000))
    assert "3,000 (2.9 KiB)" in inside("cp", "big", "st:big").out
    assert "  604,800 s\n" in inside("info", "--url", "st:").out
    assert inside("sync", "st", "two:").code == 0
    assert "estimate" not in inside("sync", "st", "two:", "--dry-run").err


def test_a_directory_with_a_slash_is_said_to_be_one(inside: Inside) -> None:
    """`cat`, `head` and `info` of a directory's name with its slash say that it is a directory."""
    inside.write("st/g/a")
    for verb in ("cat", "head", "info"):
        ran = inside(verb, "st:g/")
        assert ran.code == 3
        assert "is a directory, not an object" in ran.err


def test_a_dataset_upload_says_what_it_removed(inside: Inside) -> None:
    """A file that is no longer in the directory leaves the dataset, which the summary says."""
    inside.write("d/f1.csv")
    inside.write("d/f2.csv")
    assert "removed" not in inside("datasets", "upload", "d", "cats", "--url", "st:").out
    (inside.directory / "d/f1.csv").unlink()
    assert (
        "removed  1 file of the version before; first f1.csv"
        in inside("datasets", "upload", "d", "cats", "--url", "st:").out
    )


def test_names_are_not_taken_for_places(inside: Inside) -> None:
    """A missing version of a model does not lead to a hint about a place that has the name of the tag."""
    ran = inside("models", "tag", "resnet", "v9", "two", "--url", "st:")
    assert ran.code == 3
    assert "did you mean 'two:'" not in ran.err
    assert "did you mean 'two:'" in inside("list", "two").err


def test_a_restore_looks_before_it_asks(inside: Inside) -> None:
    """What is missing, or is one file, is refused without a question; the question names what would be restored."""
    inside.write("out/weights", b"w" * 10)
    inside.write("one.pt", b"1")
    inside.write("back/old", b"o")
    assert inside("models", "backup", "out", "resnet", "--url", "st:").code == 0
    assert inside("models", "backup", "one.pt", "single", "--url", "st:").code == 0
    for name, code, hint in (
        ("nosuch", 3, "nosuch"),
        ("single", 2, "the version is one file"),
        ("resnet", 2, "would replace the directory back and everything in it with resnet v1 (1 file, 10 B); there is"),
    ):
        ran = inside("models", "restore", name, "back", "--url", "st:")
        assert ran.code == code
        assert hint in ran.err
        assert ("replace the directory" in ran.err) == (name == "resnet")
    assert inside.files("back") == {"old": b"o"}


def test_the_question_about_uploads_counts_all() -> None:
    """Own uploads are aborted with those of others, so both are in the number."""
    assert question_of(2, 1) == "abort 2 uploads, 1 of which may belong to others"
    assert question_of(1, 1) == "abort 1 upload that may belong to others"


def test_a_long_line_is_broken_between_words() -> None:
    """On a terminal, a line of the doctor is broken at blanks only, and its rest is further right; else it stays."""
    screen, inside = os.openpty()
    termios.tcsetwinsize(inside, (24, 24))
    text = "  → add --read-only, an object of this size"
    with os.fdopen(inside, "w") as terminal:
        assert filled(text, terminal, "    ") == "  → add --read-only, an\n    object of this size"
        assert filled("short", terminal, "    ") == "short"
    os.close(screen)
    assert filled(text, None) == text


@pytest.mark.slow
def test_a_question_fits_the_terminal(inside: Inside) -> None:
    """A long question is broken between words, and never inside the answers that it offers."""
    inside.write("from/kept")
    inside.write("two/gone")
    shell = Shell(inside.directory)
    where = f"(file://{inside.directory}/two)? [y/N]"
    width = len(where) - 2  # the answers would be broken
    seen = at_terminal(shell, "sync", "from", "two:", "--delete", answer="no", width=width)
    assert f"{where[:-6]}\n[y/N] no\n" in seen.screen


@pytest.mark.usefixtures("s3_environment")
def test_a_question_before_a_deletion_names_the_server(
    s3_server: EmbeddedS3, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two servers can have buckets of one name, so the question has the URL of a server that is not the vendor's."""
    assert main(["delete", "-r", "--all"]) == 2
    assert f"would delete everything in s3://{s3_server.bucket}/ ({s3_server.endpoint_url});" in capsys.readouterr().err

"""The verb `sync`, on the local disk and on a real S3 server."""

from __future__ import annotations

import json
import os
import shlex
import signal
from typing import Any

import pytest

from tests.cli.conftest import Inside, Shell, files_below
from tests.cli.pseudo_terminal import at_terminal

pytestmark = pytest.mark.slow  # some tests start processes

REPORT = {
    "verb",
    "direction",
    "source",
    "destination",
    "transferred",
    "transferred_bytes",
    "deleted",
    "unchanged",
    "already_done",
    "skipped",
    "changed",
    "failed",
    "deletions_withheld",
    "retries",
    "seconds",
    "bytes_per_second",
    "plan",
}


class Here:
    """The verb `sync` inside this process, in a directory with a source `src` of two files."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.directory = inside.directory
        self.shell = inside.shell
        self.store = f"file://{inside.directory}/store"
        self.shell.write("src/a", b"1")
        self.shell.write("src/sub/b", b"22")

    @property
    def err(self) -> str:
        """What the last run printed to standard error."""
        return self.inside.err

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run to the end; return what was printed to standard output."""
        return self.inside("sync", *words, code=code)

    def report(self, *words: str, code: int = 0) -> Any:
        """Run with --json; return the document."""
        return self.inside.document("sync", *words, code=code)

    def files(self, name: str) -> dict[str, bytes]:
        """Return the files below a directory, without those that a store keeps for itself."""
        found = files_below(self.directory / name)
        return {path: data for path, data in found.items() if not path.startswith(".bucketry/")}


@pytest.fixture
def here(inside: Inside) -> Here:
    """Return the verb in a directory of its own."""
    return Here(inside)


def test_up_and_back_by_urls(here: Here) -> None:
    """A directory is synced to a URL and back; a second sync sends nothing; the report has its documented shape."""
    first = here.report("src", here.store)
    assert set(first) == REPORT
    assert (first["direction"], first["transferred"], first["transferred_bytes"]) == ("upload", 2, 3)
    assert (first["source"], first["destination"]) == ("src", here.store)
    second = here.report("./src/", here.store + "/")
    assert (second["transferred"], second["unchanged"], second["plan"]["requests"]) == (0, 2, 0)
    assert here.report(here.store, "back")["direction"] == "download"
    assert here.files("back") == here.files("src")
    lines = here(here.store, "back").splitlines()
    assert lines[0] == f"sync: {here.store} → back"
    assert [line.split()[0] for line in lines[1:]] == ["downloaded", "unchanged", "time"]


def test_two_urls_are_two_stores(here: Here) -> None:
    """From one provider to another, in both forms of a URL."""
    here("src", here.store)
    assert here.report(here.store, f"file://{here.directory}/other/")["direction"] == "copy"
    assert here.files("other") == here.files("src")


@pytest.mark.usefixtures("s3_environment")
def test_on_s3(here: Here) -> None:
    """Up, to another prefix of the bucket, and down to a file URL, which is a local directory beside a cloud's URL."""
    up = here.report("src", "s3://cli-session/sync/one")
    assert (up["transferred"], up["destination"]) == (2, "s3://cli-session/sync/one")
    assert here.report("src", "s3://cli-session/sync/one")["unchanged"] == 2
    assert here.report("s3://cli-session/sync/one", "s3://cli-session/sync/two/")["direction"] == "copy"
    down = here.report("s3://cli-session/sync/two", f"file://{here.directory}/back")
    assert (down["direction"], down["transferred"]) == ("download", 2)
    assert here.files("back") == here.files("src")
    assert here.report("src", "s3://cli-session/new", "--save-plan", "plan.jsonl")["price"] is None  # not AWS's own
    here("s3://cli-session/sync/one", "s3://cli-session/a% b", "--save-plan", "copy.jsonl")
    assert here.report("--apply", "copy.jsonl")["transferred"] == 2
    assert here.report("--direction", "download", "--local", "back2", "--remote", "sync/two")["transferred"] == 2
    (here.directory / "src/a").unlink()
    gone = here.report("src", "s3://cli-session/sync/one", "--delete", "-y")
    assert (gone["deleted"], gone["failed"]) == (1, [])
    here("s3://cli-session/sync/one", "s3://cli-session/sync", code=2)
    assert "overlap" in here.err


def test_without_paths_it_says_which_it_uses(bucketry: Shell) -> None:
    """`sync --direction upload` uses data/ and datasets/, says so first, and leaves its own store out."""
    bucketry.write("data/a", b"1")
    bucketry.write("data/storage/other", b"an object of the store")
    ran = bucketry("sync", "--direction", "upload")
    assert ran.code == 0
    first, second = ran.err.splitlines()
    assert first.startswith("sync: --local and --remote not given: using data/ and file://")
    assert first.endswith("/data/storage/datasets/")
    assert second.startswith("sync: leaving out storage in data/")
    assert (bucketry.store / "datasets/a").read_bytes() == b"1"
    again = bucketry("sync", "--direction", "upload", "--delete", "--json")
    assert (again.code, again.document["unchanged"], again.document["plan"]["transfers"]) == (0, 1, 0)
    back = bucketry("sync", "--direction", "download", "--delete", "--yes", "--json")
    assert (back.code, back.document["unchanged"], back.document["deleted"]) == (0, 1, 0)
    assert (bucketry.store / "other").exists()


def test_without_paths_a_named_place_says_them(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--url NAME:` uses the place's `local` and `remote`, and `NAME:path` can be one of the two words."""
    config = here.shell.write(
        "config.toml", f'[places.mine]\nurl = "{here.store}"\nlocal = "src"\nremote = "kept/"\n'.encode()
    )
    config.chmod(0o600)
    monkeypatch.setenv("BUCKETRY_CONFIG", str(config))
    assert here.report("--direction", "upload", "--url", "mine:")["transferred"] == 2
    assert "using src and " in here.err
    assert here.files("store/kept") == here.files("src")
    assert here.report("mine:kept", "back")["transferred"] == 2
    here("mime:kept", "back", code=2)
    assert "did you mean 'mine'" in here.err


def test_a_dry_run_prints_the_actions_and_changes_nothing(here: Here) -> None:
    """As text or JSON Lines, with kind, path, reason and sizes."""
    here("src", here.store)
    here.shell.write("src/a", b"longer")
    (here.directory / "src/sub/b").unlink()
    here.shell.write("src/new.tmp", b"")
    before = here.files("store")
    words = ("src", here.store, "--delete", "--dry-run", "--exclude", "*.tmp")
    lines = [json.loads(line) for line in here(*words, "--json").splitlines()]
    assert lines == [
        {"kind": "upload", "path": "a", "reason": "size", "size": 6, "target_size": 1},
        {"kind": "delete", "path": "sub/b", "reason": "not in source", "size": None, "target_size": 2},
    ]
    assert [line.split() for line in here(*words).splitlines()] == [
        ["upload", "6", "B", "a", "(size)"],
        ["delete", "2", "B", "sub/b", "(not", "in", "source)"],
    ]
    assert here.err.startswith("upload 1 file, 6 B; delete 1 file, 2 B; unchanged 0 files; estimate ")
    assert here.files("store") == before


def test_patterns_and_comparison(here: Here) -> None:
    """--include, --exclude and --compare choose what is sent."""
    here("src", here.store, "--include", "*/", "--exclude", "b")
    assert here.files("store") == {}
    here("src", here.store, "--include", "a", "--include", "b", "--exclude", "sub/")
    assert here.files("store") == {"a": b"1"}
    here.shell.write("src/a", b"2")
    os.utime(here.directory / "src/a", (0, 0))
    assert here.report("src", here.store, "--compare", "size")["transferred"] == 1
    assert here.files("store")["a"] == b"1"
    assert here.report("src", here.store, "--compare", "checksum")["transferred"] == 1
    assert here.files("store")["a"] == b"2"


def test_deletions_need_yes_without_a_terminal(here: Here) -> None:
    """Without a terminal a plan with deletions is refused as a whole; with --yes it is applied."""
    here("src", here.store, "--delete")
    (here.directory / "src/sub/b").unlink()
    here.shell.write("src/c", b"3")
    before = here.files("store")
    here("src", here.store, "--delete", code=2)
    assert here.err.count("\n") == 1
    assert "would delete 1 file (2 B)" in here.err
    assert "--yes" in here.err
    assert here.files("store") == before
    assert here.report("src", here.store, "--delete", "--yes")["deleted"] == 1
    assert here.files("store") == here.files("src")


def test_at_a_terminal_deletions_are_asked_about(bucketry: Shell) -> None:
    """The plan's summary comes first; `n` changes nothing, `y` applies the plan and shows the progress."""
    bucketry.write("src/a", b"1" * 2_000)
    store = bucketry.write("store/old", b"22").parent
    words = ("sync", "src", f"file://{store}", "--delete")
    no = at_terminal(bucketry, *words, answer="n", width=400)
    assert no.code == 1
    plan, _, rest = no.screen.partition("? [y/N] ")
    assert [line.split()[0] for line in plan.splitlines()] == [
        "sync:",
        "upload",
        "delete",
        "unchanged",
        "estimate",
        "delete",
        "these",
        "delete",
    ]
    assert "upload     1 file, 2.0 KiB\n" in plan
    assert f"delete old\nthese are all files that file://{store} has\ndelete 1 file (2 B) below " in plan
    assert "nothing was changed" in rest
    assert [*files_below(store)] == ["old"]
    yes = at_terminal(bucketry, *words, answer="y")
    assert yes.code == 0
    assert "files 1 of 1" in yes.screen
    assert "deleted    1 file\n" in yes.screen
    assert {path for path in files_below(store) if not path.startswith(".bucketry")} == {"a"}


def test_the_question_names_the_first_deletions(bucketry: Shell) -> None:
    """Before the question, ten of the files to delete are named; a destination that keeps a file is not lost whole."""
    bucketry.write("src/kept", b"1")
    store = bucketry.write("store/kept", b"22").parent
    for number in range(12):
        bucketry.write(f"store/old-{number:02}", b"1")
    seen = at_terminal(bucketry, "sync", "src", f"file://{store}", "--delete", answer="n", width=400).screen
    assert [line for line in seen.splitlines() if "old-" in line] == [f"  delete old-{n:02}" for n in range(10)]
    assert "  … and 2 more; --dry-run shows all\n" in seen
    assert "these are all" not in seen


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_question_changes_nothing(bucketry: Shell) -> None:
    """Ctrl-C at the question says that nothing was changed."""
    (bucketry.directory / "src").mkdir()
    store = bucketry.write("store/old", b"22").parent
    words = ("sync", "src", f"file://{store}", "--delete", "--force")
    seen = at_terminal(bucketry, *words, interrupt=True)
    assert seen.code == 130
    assert "interrupted: nothing was changed\n" in seen.screen
    assert "cleaning up" not in seen.screen
    assert (store / "old").read_bytes() == b"22"


def test_too_many_deletions_are_refused_before_the_question(here: Here) -> None:
    """More deletions than --max-delete are refused, also in a dry run, and as many are allowed."""
    here("src", here.store)
    (here.directory / "src/sub/b").unlink()
    words = ("src", here.store, "--delete", "--max-delete")
    for more in (("--yes",), (), ("--dry-run",)):
        here(*words, "0", *more, code=2)
        assert "would delete 1 file, more than --max-delete 0" in here.err
    assert here.report(*words, "1", "--yes")["deleted"] == 1


def test_an_empty_source_is_refused(here: Here) -> None:
    """An empty source with --delete needs --force, and so does the download of a prefix without objects."""
    here("src", here.store)
    (here.directory / "empty").mkdir()
    here("empty", here.store, "--delete", "--yes", code=2)
    assert "so --delete would remove everything below" in here.err
    assert "give --force" in here.err
    here(f"file://{here.directory}/nothing", "back", code=3)
    assert "or --force if it may be empty" in here.err
    assert here.report("empty", here.store, "--delete", "--yes", "--force")["deleted"] == 2


def test_a_saved_plan_is_applied_later(here: Here) -> None:
    """--save-plan changes nothing; --apply needs no paths, leaves alone what has changed since, and exits with 1."""
    here.shell.write("src/c", b"3")
    saved = here.report("src", here.store, "--save-plan", "plan.jsonl")
    assert (set(saved), saved["saved"]) == (
        {"verb", "direction", "source", "destination", "saved", "plan", "price"},
        "plan.jsonl",
    )
    assert (saved["plan"]["transfers"], here.files("store")) == (3, {})
    lines = (here.directory / "plan.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines[1:-1]] == ["a", "c", "sub/b"]
    here.shell.write("src/c", b"changed")
    done = here.report("--apply", "plan.jsonl", code=1)
    assert (done["transferred"], [one["path"] for one in done["changed"]]) == (2, ["c"])
    assert json.loads(here.err)["error"]["path"] == "c"
    here("src", here.store, "--apply", "plan.jsonl", code=1)
    assert here.err.startswith("failed: c: ")
    for words in (("src", f"file://{here.directory}/else"), ("src/sub", here.store), (here.store, "src")):
        here(*words, "--apply", "plan.jsonl", code=2)
        assert "the plan is for" in here.err


@pytest.mark.parametrize("by_words", [True, False])
def test_a_saved_plan_says_how_to_apply_it(here: Here, monkeypatch: pytest.MonkeyPatch, *, by_words: bool) -> None:
    """The command that is printed applies the plan, also if the place has a name and the paths have blanks."""
    places = here.shell.write("places.toml", f'[places.st]\nurl = "{here.store}"\n'.encode())
    places.chmod(0o600)
    monkeypatch.setenv("BUCKETRY_CONFIG", str(places))
    options = ("--direction", "upload", "--local", "src", "--remote", "my data", "--url", "st:")
    here(*(("src", "st:my data") if by_words else options), "--save-plan", "my plan")
    _, _, command = here.err.strip().partition("run: bucketry sync ")
    here("--apply", "my plan", "--url", "st:", code=2)
    assert "SOURCE and DESTINATION" in here.err
    here(*shlex.split(command))
    assert here.files("store").keys() == {"my data/a", "my data/sub/b"}


def test_a_saved_plan_keeps_its_deletions_safe(here: Here) -> None:
    """The deletions of a plan are asked about when it is applied, and its --max-delete still holds."""
    here("src", here.store)
    (here.directory / "src/a").unlink()
    here("src", here.store, "--delete", "--max-delete", "0", "--save-plan", "few.jsonl")
    here("src", here.store, "--delete", "--save-plan", "all.jsonl")
    here("--apply", "few.jsonl", "--yes", code=2)
    assert "more than --max-delete 0" in here.err
    here("--apply", "all.jsonl", code=2)
    assert "--yes" in here.err
    assert here("--apply", "all.jsonl", "--dry-run").startswith("delete ")
    assert "a" in here.files("store")
    here("--apply", "all.jsonl", "--yes")
    assert "a" not in here.files("store")


def test_the_estimate_has_the_price_if_a_side_has_list_prices(here: Here) -> None:
    """The summary of a plan for a cloud ends with its price: 1,000,000 PUTs cost $5.00 at AWS."""
    here("src", here.store, "--save-plan", "plan.jsonl")
    file = here.directory / "plan.jsonl"
    *lines, last = file.read_text().splitlines()
    totals = json.loads(last)
    totals["summary"]["sides"] = [{"vendor": "aws", "requests": {"put": 1_000_000}, "egress": 0}]
    file.write_text("\n".join([*lines, json.dumps(totals)]) + "\n")
    here("--apply", "plan.jsonl", "--dry-run")
    assert "; price about $5.00 by list prices of 20" in here.err


def test_what_cannot_be_synced_is_named(here: Here) -> None:
    """A link to a directory is skipped, named, and makes the exit code 1, until it is excluded."""
    (here.directory / "src/link").symlink_to("sub")
    done = here.report("src", here.store, code=1)
    assert (done["transferred"], [one["path"] for one in done["skipped"]]) == (2, ["link"])
    assert here("src", here.store, code=1).splitlines()[-2].startswith("  skipped ")
    assert here.err.startswith("skipped: link: ")
    assert here.err.count("\n") == 1
    here("src", here.store, "--exclude", "link")


FAULTY = """
from bucketry import MemoryProvider, StorageProviderFactory, errors
from bucketry.testing import Fault, FaultyProvider
faults = (Fault(operation='put_object', nth=2, error=errors.AccessDeniedError('not allowed')),)
StorageProviderFactory.register('faulty', lambda config, **options: FaultyProvider(MemoryProvider(), faults))
"""


def test_a_failed_file_does_not_stop_the_others(bucketry: Shell) -> None:
    """Each failure is one line with its reason, the others are sent, and the exit code is 1."""
    for name in ("a", "b", "c"):
        bucketry.write(f"src/{name}", b"1")
    faulty = bucketry.scripted(FAULTY)
    words = ("sync", "--direction", "upload", "--local", "src", "--remote", "p", "--provider", "faulty")
    ran = faulty(*words)
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("failed: ")
    assert ran.err.endswith(": not allowed\n")
    assert "uploaded   2 files" in ran.text
    assert "failed     1 file; sync again" in ran.text


HANGING = """
from bucketry import MemoryProvider, StorageProviderFactory
from bucketry.testing import Fault, FaultyProvider
async def told():
    print('sending', flush=True)
faults = (Fault(operation='put_object', hook=told, hang=True),)
StorageProviderFactory.register('hanging', lambda config, **options: FaultyProvider(MemoryProvider(), faults))
"""


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_sync_says_how_to_continue(bucketry: Shell) -> None:
    """Ctrl-C ends the sync cleanly with 130, and the last line says what to do."""
    bucketry.write("src/a", b"1")
    words = ("sync", "--direction", "upload", "--local", "src", "--remote", "p", "--provider", "hanging")
    with bucketry.scripted(HANGING).start(*words) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"sending\n"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate()
    assert (running.returncode, out) == (130, b"")
    assert err.decode().splitlines()[-1] == (
        "sync: what is complete was kept; to continue, run the same command again; finished files are not sent again"
    )


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        ((), 2, "needs SOURCE and DESTINATION"),
        (("src",), 2, "needs two paths"),
        (("src", "{store}", "more"), 2, "got 3"),
        (("src", ""), 2, "a path is empty"),
        (("src", "dst"), 2, "s3://BUCKET/dst/"),
        (("src", "{store}", "--direction", "upload"), 2, "not both"),
        (("--local", "src", "--remote", "p"), 2, "need --direction"),
        (("src", "{store}", "--max-delete", "3"), 2, "add --delete"),
        (("src", "{store}", "--delete", "--max-delete", "-1"), 2, "--max-delete -1"),
        (("src", "file://{here}/src"), 2, "overlaps"),
        (("src", "file://{here}/src/sub"), 2, "or leave it out with --exclude '/sub/'"),
        (("file://{here}/src", "file://{here}/src/sub/"), 2, "overlap"),
        (("nowhere", "{store}"), 3, "nowhere"),
        (("src/a", "{store}"), 2, "src/a"),
        (("src", "{store}", "--include", "*.png"), 2, "--include '*.png' matches nothing"),
        (("src", "{store}", "--exclude", "a\nb"), 2, "give each line as a pattern"),
        (("src", "{store}/run-*/"), 2, "--include and --exclude"),
        (("src", "s3:/bucket/p"), 2, "write s3://bucket/p"),
        (("src", "s4://bucket/p"), 2, "is unknown; known are s3, r2"),
        (("src", "{store}", "--compare", "time"), 2, "--compare"),
        (("src", "{store}", "--delte"), 2, "did you mean '--delete'"),
        (("src", "{store}", "--part-size", "1"), 2, "--part-size: 1 is not within"),
        (("--apply", "missing.jsonl"), 3, "missing.jsonl"),
        (("--apply", "src/a"), 2, "src/a"),
        (("--apply", "p.jsonl", "--delete"), 2, "--delete is a part of the plan"),
    ],
)
def test_bad_input(here: Here, words: tuple[str, ...], code: int, hint: str) -> None:
    """A wrong path or option gives one line that says what to do, and changes nothing."""
    here.inside.refused(
        "sync", *(word.format(here=here.directory, store=here.store) for word in words), code=code, hint=hint
    )


COUNTING = """
import atexit, os
from bucketry import MemoryProvider, StorageProviderFactory
from bucketry.testing import FaultyProvider
counting = FaultyProvider(MemoryProvider())
StorageProviderFactory.register('counting', lambda config, **options: counting)
atexit.register(lambda: print(dict(counting.calls)))
import asyncio
asyncio.run(counting.inner.put('p/a', b'1'))
"""


def test_a_sync_with_nothing_to_do_is_one_listing(bucketry: Shell) -> None:
    """The command line makes no request of its own: with nothing to do, all it makes is the listing."""
    bucketry.write("src/a", b"1")
    words = ("sync", "--direction", "upload", "--local", "src", "--remote", "p", "--provider", "counting")
    ran = bucketry.scripted(COUNTING)(*words, "--compare", "size")
    assert ran.code == 0
    assert ran.text.splitlines()[-1] == "{'list_page': 1}"

"""What the program loads before it begins: each module costs time at every start."""

from __future__ import annotations

import gc
import textwrap
from pathlib import Path

import pytest

from bucketry._cli.commands import all_commands
from bucketry._cli.main import main
from tests.cli.conftest import Shell

pytestmark = pytest.mark.slow  # each test starts processes

SLOW = (
    "aiobotocore",
    "aiofiles",
    "anyio",
    "argcomplete",
    "awscrt",
    "boto3",
    "botocore",
    "bz2",
    "csv",
    "decimal",
    "difflib",
    "dotenv",
    "email",
    "hashlib",
    "http.client",
    "importlib.metadata",
    "isal",
    "json",
    "keyring",
    "lzma",
    "moto",
    "pathlib",
    "pathspec",
    "random",
    "rich",
    "secrets",
    "shutil",
    "sqlite3",
    "tempfile",
    "tomllib",
    "urllib.request",
    "zipfile",
    "bucketry._cli.env_file",
    "bucketry._cli.wording",
    "bucketry._cost",
    "bucketry._doctor",
    "bucketry._manage",
    "bucketry._session",
    "bucketry._wire",
    "bucketry._core.config_dicts",
    "bucketry._core.request_entries",
    "bucketry._core.s3_config",
    "bucketry._runtime.batcher",
    "bucketry._runtime.gate",
    "bucketry._transfer.limits",
    "bucketry._transfer.manager",
    "bucketry._transfer.one.write",
    "bucketry._vendors.prices",
    "bucketry.providers.s3",
    "bucketry.testing",
)
"""What a listing of the local disk does not need."""
MOST = 85
"""The most modules of this package that a listing of the local disk loads; each takes about 0.3 ms."""
SLOW_FOR_HELP = (
    *SLOW,
    "asyncio",
    "dataclasses",
    "datetime",
    "inspect",
    "logging",
    "socket",
    "ssl",
    "traceback",
    "urllib",
    "bucketry._cli.place",
    "bucketry._cli.verbs",
    "bucketry._providers",
    "bucketry._runtime",
    "bucketry._transfer",
    "bucketry.providers",
)
"""What `--help` does not need: it shows a few texts."""


def _loaded(bucketry: Shell, *words: str) -> set[str]:
    """Run a command, and return the modules that were loaded at its end, without those of the bare interpreter."""
    script = (
        "import atexit, sys\nbefore = set(sys.modules)\n"
        "atexit.register(lambda: print(*(set(sys.modules) - before), sep='\\n', file=sys.stderr))"
    )
    ran = bucketry.scripted(script)(*words)
    assert ran.code == 0, ran.err
    return set(ran.err.splitlines())


def _among(loaded: set[str], slow: tuple[str, ...]) -> list[str]:
    return sorted(name for name in loaded if any(name == one or name.startswith(f"{one}.") for one in slow))


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("models", "--help")])
def test_the_help_loads_no_verb(bucketry: Shell, words: tuple[str, ...]) -> None:
    """The overview loads the parser and the table of verbs, and nothing that takes long."""
    loaded = _loaded(bucketry, *words)
    assert "bucketry._cli.parser" in loaded
    assert _among(loaded, SLOW_FOR_HELP) == []


@pytest.mark.parametrize("by", ["environment", "url"])
def test_a_listing_loads_little(bucketry: Shell, tmp_path: Path, by: str) -> None:
    """A listing of the local disk loads no S3 client, no transfers, and no other verb."""
    loaded = _loaded(bucketry, "list", *(("--url", tmp_path.as_uri()) if by == "url" else ()))
    assert "bucketry._providers.local.listing" in loaded
    assert _among(loaded, SLOW if by == "url" else (*SLOW, "ipaddress", "urllib")) == []
    assert len(_among(loaded, ("bucketry",))) <= MOST
    verbs = {f"bucketry._cli.verbs.{command.name.replace(' ', '.')}" for command in all_commands()}
    assert loaded & verbs == {"bucketry._cli.verbs.list"}


def test_the_collector_rests_while_modules_load(bucketry: Shell) -> None:
    """Python searches for no garbage while a verb is loaded, and while it runs only among what is new."""
    spy = (
        "import gc, sys\n"
        "class Spy:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in {'bucketry._cli.main', 'bucketry._cli.verbs.list', 'bucketry.providers.local'}:\n"
        "            print(name, gc.isenabled(), gc.get_freeze_count() > 0, file=sys.stderr)\n"
        "sys.meta_path.insert(0, Spy())"
    )
    ran = bucketry.scripted(spy)("list", "--json")
    assert ran.err.splitlines() == [
        "bucketry._cli.main False False",
        "bucketry._cli.verbs.list False False",
        "bucketry.providers.local True True",
    ]


def test_the_collector_of_a_program_stays_as_it_is(tmp_path: Path) -> None:
    """A program that runs a command line in its own process keeps its collector, which is neither off nor on after."""
    frozen = gc.get_freeze_count()
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            assert main(["list", "--url", tmp_path.as_uri()]) == 0
            assert (gc.isenabled(), gc.get_freeze_count()) == (enabled, frozen)
        finally:
            gc.enable()


WATCH = """
    import argparse, atexit, re, sys
    found = []
    make_parser, compile_pattern = argparse.ArgumentParser.__init__, re._compiler.compile
    def make(self, **options):
        found.append(f"parser {options.get('prog')}")
        make_parser(self, **options)
    def compile(*args):
        frame = sys._getframe(1)
        while frame.f_globals["__name__"] == "re":
            frame = frame.f_back
        if frame.f_globals["__name__"].startswith("bucketry"):
            found.append(f"pattern {args[0]}")
        return compile_pattern(*args)
    def hear(event, args):
        if event == "exec" and args[0].co_filename == "<string>" and args[0].co_names == ("make",):
            found.append("constructor")
    argparse.ArgumentParser.__init__, re._compiler.compile = make, compile
    sys.addaudithook(hear)
    atexit.register(lambda: print(*found, sep="\\n", file=sys.stderr))
"""


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (("list",), ["parser None", "parser bucketry list"]),
        (("--json", "list"), ["parser None", "parser bucketry", "parser None", "parser bucketry list"]),
        (("list", "--reverse"), ["parser None", "parser bucketry list", "pattern -[A-Za-z]+"]),
    ],
    ids=" ".join,
)
def test_a_listing_makes_only_what_it_uses(bucketry: Shell, words: tuple[str, ...], seen: list[str]) -> None:
    """A listing makes the parser of its verb, and compiles no pattern and no constructor that it does not need."""
    ran = bucketry.scripted(textwrap.dedent(WATCH))(*words)
    assert ran.code == 0
    assert [line for line in ran.err.splitlines() if line != "0 objects, 0 B"] == seen

"""Checks the documentation: every example runs, every code block comes from an example, every link works."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import tomllib
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import bucketry
import bucketry.errors
import bucketry.providers
import bucketry.testing
from bucketry import LocalProvider, MemoryProvider, StorageManager
from bucketry._cli.args import ENTRIES
from bucketry._cli.parser import parse
from bucketry._core import config, s3_config
from bucketry._core.entries import ProviderConfig
from bucketry.errors import PreconditionFailedError
from bucketry.providers.places import read_places
from tests.cli.test_reference import programs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
PAGES = sorted(DOCS.rglob("*.md"))
README = ROOT / "README.md"
CI = ROOT / ".ci" / "run"

QUICK = {
    "cancellation",
    "ci_artefacts",
    "compare_costs",
    "data_loader",
    "dataset_before_training",
    "errors",
    "local_disk",
    "many_files",
    "model_versions",
    "move_bucket",
    "places",
    "quickstart",
    "several_processes",
    "sqlite_provider",
}
"""Examples without a server; the others start one, which takes seconds."""

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INCLUDED = re.compile(r"^ *<!-- examples: ([^>]+) -->\n *```python$", re.MULTILINE)
INCLUDE = runpy.run_path(str(DOCS / "include_examples.py"))
sections = INCLUDE["sections"]
IMAGE = re.compile(r"!\[[^\]\n]*\]\(([^)\s:]+)\)")
LINK = re.compile(r"(?<!\!)\[[^\]\n]*\]\(([^)\s]+)\)")


def run(command: list[str], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command without the user's settings and credentials."""
    ours = ("STORAGE_PROVIDER", "LOCAL_STORAGE_PATH", "AWS_", "BUCKETRY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment = kept | {"HOME": str(cwd)} | variables
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100, check=False)


def blocks(page: Path, language: str) -> list[str]:
    """Give the contents of a page's fenced blocks in a language."""
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [textwrap.dedent(text) for _, name, text in found if name == language]


def named(navigation: list[Any]) -> list[str]:
    """Give the pages that a navigation names, also in its sections."""
    found: list[str] = []
    for entry in navigation:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            found += [value] if isinstance(value, str) else named(value)
    return found


def relative(path: Path) -> str:
    """Give a page's name for a test's id."""
    return path.relative_to(ROOT).as_posix()


def marks(example: Path) -> list[pytest.MarkDecorator]:
    """Give the marks of an example: of a slow one, and of one with a library that only the extra `peers` has."""
    library = example.stem.removeprefix("with_") if example.stem.startswith("with_") else "bucketry"
    missing = pytest.mark.skipif(find_spec(library) is None, reason=f"{library} is not installed")
    return [pytest.mark.timeout(110), missing, *([] if example.stem in QUICK else [pytest.mark.slow])]


def example_cases() -> list[Any]:
    """Give every example, marked."""
    return [pytest.param(path, id=path.stem, marks=marks(path)) for path in EXAMPLES]


@pytest.mark.parametrize("example", example_cases())
def test_an_example_runs_without_a_warning(example: Path, tmp_path: Path) -> None:
    """Every example runs by itself, without an account, with warnings as errors."""
    done = run([sys.executable, "-W", "error", str(example)], tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_python_of_a_page_is_that_of_examples(page: Path) -> None:
    """Each Python block of a page has the present text of the example sections named before it."""
    text = page.read_text(encoding="utf-8")
    assert text.count("```python\n") == len(INCLUDED.findall(text)), "a block names no sections"
    assert text == INCLUDE["render"](text), "run `python docs/include_examples.py`"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_section_of_an_example_is_shown_somewhere(example: Path) -> None:
    """Each section of an example is included in a page."""
    shown = {
        name for page in PAGES for names in INCLUDED.findall(page.read_text(encoding="utf-8")) for name in names.split()
    }
    for name in sections(example):
        assert f"{example.name}:{name}" in shown, f"{example.name}: nobody shows {name}"


def test_the_python_of_the_readme_is_a_section_of_an_example() -> None:
    """Each Python block of the README is a section of an example."""
    known = {text.strip() for example in EXAMPLES for text in sections(example).values()}
    written = blocks(README, "python")
    assert written
    for block in written:
        assert block.strip() in known, block


@pytest.mark.parametrize("page", [README, *PAGES], ids=relative)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    """The command line accepts the options of every `bucketry` command in a console block or in a sentence."""
    text = page.read_text(encoding="utf-8").replace("\\|", "|")
    commands = re.findall(r"^\$ (bucketry [^\n]*)$", text, re.MULTILINE) + re.findall(
        r"`(bucketry [a-z]+ -[^`\n]*)`", text
    )
    commands += re.findall(r"`(bucketry (?:upload|download|list|delete) [^`\n]*)`", text)
    for command in commands:
        for words in programs(command):
            if words[0] == "bucketry":
                parse(words[1:])


async def test_a_move_says_what_was_not_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The program prints objects that were skipped and that changed, also if it then fails; its check sees both."""
    program = runpy.run_path(str(DOCS / "examples" / "move_bucket.py"))
    old, new = MemoryProvider(), LocalProvider({"base_path": str(tmp_path / "new")})
    await old.put("../evil", b"1")
    await old.put("a", b"1")
    await program["plan"](old, new, tmp_path / "plan.jsonl")
    await new.put("a", b"theirs")
    with pytest.raises(PreconditionFailedError):
        await program["apply"](old, new, tmp_path / "plan.jsonl")
    printed = capsys.readouterr().out
    assert "not copied: ../evil" in printed
    assert f"changed: {new.locate('a')}" in printed
    await new.put("a", b"1")
    assert await program["check"](old, new) is False
    await old.delete("../evil")
    assert await program["check"](old, new) is True


async def test_a_job_says_what_was_not_transferred(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The program of the CI page prints what was skipped, in both directions."""
    program = runpy.run_path(str(DOCS / "examples" / "ci_artefacts.py"))
    manager = StorageManager(MemoryProvider())
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "link").symlink_to("nowhere")
    await program["store"](manager, tmp_path / "build", "3f2a")
    assert "not uploaded: link" in capsys.readouterr().out
    await manager.provider.put("artefacts/3f2a/../x.whl", b"1")
    await manager.provider.put("artefacts/3f2a/y.whl", b"1")
    await program["fetch"](manager, "3f2a", tmp_path / "target")
    assert "not downloaded: ../x.whl" in capsys.readouterr().out


def test_examples_are_type_checked() -> None:
    """The strict type check covers every example, and so the README's Python."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert settings["strict"]
    assert "docs/examples" in settings["files"]


@pytest.mark.parametrize("page", [README, *PAGES], ids=relative)
def test_a_relative_link_leads_to_a_file(page: Path) -> None:
    """Every relative link of README and pages names a file of the repository."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        path = (page.parent / target.partition("#")[0]).resolve()
        if path.parent == ROOT and not path.exists() and not CI.exists():
            continue  # a reduced copy of the repository, for testing a wheel
        assert path.is_file(), f"{relative(page)}: {target} leads nowhere"


@pytest.mark.parametrize("page", [README, *PAGES], ids=relative)
def test_an_image_of_a_page_is_there(page: Path) -> None:
    """Every image of README and pages is a file of the repository; strict mode does not check it."""
    for target in IMAGE.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).is_file(), f"{relative(page)}: there is no image {target}"


def test_the_navigation_of_the_site_has_every_page_once() -> None:
    """The site's navigation names each page once, and nothing else; strict mode does not check it."""
    settings = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(named(settings["nav"])) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


@pytest.mark.parametrize("module", [bucketry, bucketry.providers, bucketry.testing], ids=lambda module: module.__name__)
def test_a_public_name_has_a_place_in_the_reference(module: ModuleType) -> None:
    """The reference describes every public name; errors are described together, on the page of their module."""
    pages = "".join(page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md")))
    shown = {name.rpartition(".")[2] for name in re.findall(r"^::: ([\w.]+)$", pages, re.MULTILINE)}
    assert set(module.__all__) <= shown | set(bucketry.errors.__all__)


@pytest.mark.parametrize("page", sorted((DOCS / "reference").glob("*.md")), ids=relative)
def test_a_page_that_is_made_from_docstrings_says_where_they_are(page: Path) -> None:
    """A page whose text is made from docstrings names the source files, for readers of a clone."""
    text = page.read_text(encoding="utf-8")
    names = re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)
    assert ('<p class="source-only">' in text) is bool(names)


def test_the_table_of_capabilities_is_current() -> None:
    """The page is equal to the generator's present output from the vendors' rows."""
    generator = runpy.run_path(str(DOCS / "generate_capabilities.py"))
    written = (DOCS / "reference" / "capabilities.md").read_text(encoding="utf-8")
    assert written == generator["render"](), "run `python docs/generate_capabilities.py`"


def test_the_prices_are_current() -> None:
    """Page, README and chart are equal to the generator's present output from the vendors' rows."""
    generator = runpy.run_path(str(DOCS / "generate_prices.py"))
    for path, name in ((generator["PAGE"], "render"), (README, "readme"), (generator["CHART"], "chart")):
        assert path.read_text(encoding="utf-8") == generator[name](), f"{name}: run `python docs/generate_prices.py`"


def test_the_page_of_prices_has_a_day_and_a_link_for_each_figure() -> None:
    """Each row with a price ends with the day when the price was read, linked to the page."""
    page = (DOCS / "reference" / "prices.md").read_text(encoding="utf-8")
    rows = [line for line in page.partition("## AWS S3")[2].splitlines() if re.search(r"\$\d| free \|", line)]
    assert len(rows) > 15
    for row in rows:
        assert row.startswith("|") is bool(re.search(r"\| \[2026-\d\d-\d\d\]\(https://[^)]+\) \|$", row)), row
    assert "As of 2026-" in page


def test_the_configuration_page_names_every_variable_and_entry() -> None:
    """The page has every entry and variable of the configuration classes."""
    page = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    classes = [kind for kind in (vars(config) | vars(s3_config)).values() if isinstance(kind, type)]
    providers = [kind for kind in classes if issubclass(kind, ProviderConfig) and kind.provider]
    assert providers
    for kind in providers:
        for entry in fields(kind):
            assert f"`{entry.name}`" in page, f"{kind.__name__}: {entry.name} is not on the page"
        for variables in kind.variables().values():
            for variable in variables:
                assert f"`{variable}`" in page, f"{kind.__name__}: {variable} is not on the page"


def test_the_table_of_the_configuration_says_how_each_entry_is_given() -> None:
    """Each row has the same variables, in order, the same option and the same query entry as the code."""
    page = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    known = {
        kind.provider: kind
        for kind in (vars(config) | vars(s3_config)).values()
        if isinstance(kind, type) and "Config" in kind.__name__ and issubclass(kind, ProviderConfig) and kind.provider
    }
    kind, seen = ProviderConfig, set()
    for row in re.findall(r"^\| (.*?) \|$", page, re.MULTILINE):
        provider, name, variables, option, query, *_ = (cell.strip(" `") for cell in row.split("|"))
        if provider in known or provider == "each S3-compatible":
            kind = known.get(provider, s3_config.WasabiConfig)
        if name not in {entry.name for entry in fields(kind)}:
            continue
        (secret,) = [not entry.repr for entry in fields(kind) if entry.name == name]
        assert tuple(re.findall(r"[A-Z0-9_]+", variables)) == kind.variables()[name], row
        assert (option == f"--{name.replace('_', '-')}") is (name in ENTRIES), row
        assert (query == "no") is secret, row
        seen.add((kind.provider, name))
    missing = {(kind.provider, entry.name) for kind in known.values() for entry in fields(kind)} - seen
    assert {name for _, name in missing} <= {name for provider, name in seen if provider == "wasabi"}, missing


@pytest.mark.slow
@pytest.mark.timeout(110)
def test_the_headings_of_troubleshooting_are_what_the_code_says(tmp_path: Path) -> None:
    """Each heading that quotes an error is part of a message that the example causes."""
    page = (DOCS / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^### `(.+)`$", page, re.MULTILINE)
    done = run([sys.executable, str(DOCS / "examples" / "troubleshooting.py")], tmp_path)
    assert done.returncode == 0, done.stderr
    missing = [heading for heading in quoted if heading not in done.stdout]
    assert quoted
    assert not missing, done.stdout


def test_the_configuration_file_of_a_page_is_valid(tmp_path: Path) -> None:
    """Every TOML block of the page about places is a file whose places can be read."""
    written = blocks(DOCS / "how-to" / "places.md", "toml")
    assert written
    for number, text in enumerate(written):
        file = tmp_path / f"{number}.toml"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
        found = read_places({"BUCKETRY_CONFIG": str(file)})
        assert [found.place(name).url.kind for name in found.tables]


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    """Continuous integration runs both halves of the README's test command, unchanged."""
    (command,) = [block.strip() for block in blocks(README, "sh") if "pytest" in block]
    assert command == 'python -m pip install ".[tests]" && python -m pytest --numprocesses 2 --dist loadfile'
    if not CI.exists():
        pytest.skip("a copy of the repository without its continuous integration")
    script = [line.partition(" ||")[0].strip() for line in CI.read_text(encoding="utf-8").splitlines()]
    for half in command.split(" && "):
        assert half in script, f"{CI.name} does not run {half!r}"


@pytest.mark.slow
@pytest.mark.timeout(110)
def test_the_main_command_of_the_readme_ends_identical_twice(tmp_path: Path) -> None:
    """After the installation, the README's main command gives the same directory back, and can be run again."""
    (command,) = [block for block in blocks(README, "sh") if "copy-of-mine" in block]
    install, rest = command.replace("\\\n", " ").split(" && ", 1)
    assert install == 'python -m pip install ".[cli]"'
    assert rest.startswith("DIR=docs ")
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs" / "empty").mkdir()
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    for _ in range(2):
        done = run(["/bin/sh", "-c", rest], tmp_path, PATH=path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.rstrip().endswith("identical"), done.stdout
        (tmp_path / "docs" / "index.md").unlink(missing_ok=True)  # a deleted file must not come back

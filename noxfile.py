"""The project's routine tasks, one session each; continuous integration runs the same sessions."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "typing", "tests"]

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
IN_TWO_PROCESSES = ("--numprocesses=2", "--dist=loadfile")
COVERAGE = 95  # percent of lines and branches; checked only here, so that a run of a few tests does not fail


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and layout with ruff."""
    session.install(".[lint]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types strictly, and the public surface with a second checker."""
    session.install(".[lint,tests]", "nox")
    session.run("mypy")
    session.run("mypy", "noxfile.py")
    # pyrefly, because pyright's package downloads a Node runtime on its first run.
    session.install("pyrefly>=1.4,<2")
    session.run("pyrefly", "check", "tests/typing/api.py")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run every test on every supported Python; arguments go to pytest."""
    session.install(".[tests]")
    limit = [] if session.posargs else [f"--cov-fail-under={COVERAGE}"]
    session.run("python", "-m", "pytest", "--cov", *limit, *session.posargs)


@nox.session
def contract(session: nox.Session) -> None:
    """Run only the contract suite; `-- --live=<alias>` runs it on a real bucket."""
    session.install(".[tests]")
    session.run("python", "-m", "pytest", "tests/contract", *session.posargs)


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests of aiobotocore with its oldest supported version, and with the aioboto3 that pins it."""
    (needed,) = (each for each in PROJECT["project"]["dependencies"] if each.startswith("aiobotocore>="))
    lowest = needed.removeprefix("aiobotocore>=").partition(",")[0]
    session.install(".[tests]", f"aiobotocore=={lowest}", "aioboto3")
    session.run("python", "-m", "pytest", *IN_TWO_PROCESSES, "tests/contract", "-k", "aiobotocore", *session.posargs)
    session.run("python", "-m", "pytest", *IN_TWO_PROCESSES, "tests/session", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Run what the pages for users of other libraries and programs show: theirs and ours, and compare the effects."""
    session.install(".[tests,peers]")
    pages = ("tests/docs/test_coming_from.py", "tests/docs/test_coming_from_commands.py")
    session.run("python", "-m", "pytest", *pages, *session.posargs)


@nox.session
def nightly(session: nox.Session) -> None:
    """Run the property tests with at least 20 times as many examples as in `tests`, and the syncs of a large tree."""
    session.install(".[fast,tests]")
    # "hypothesis" is the marker that Hypothesis gives its tests. Some take minutes, so the timeout is longer.
    arguments = ("-m", "hypothesis or nightly", "--timeout=3600", *session.posargs)
    session.run("python", "-m", "pytest", *arguments, env={"HYPOTHESIS_PROFILE": "nightly"})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into `site`; a broken link, anchor or reference to a name fails."""
    session.install(".[docs]")
    session.run("zensical", "build", "--strict", "--clean")


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel, and test it without `src`."""
    work = Path(session.create_tmp()).resolve()
    wheels, copy = work / "wheels", work / "copy"
    for leftover in (wheels, copy):
        shutil.rmtree(leftover, ignore_errors=True)
    session.run("python", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(wheels), ".")
    (wheel,) = wheels.glob("*.whl")
    session.install(f"{wheel}[tests]")
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("src", ".*", "__pycache__", "dist", "site"))
    session.chdir(copy)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Compare with other clients; arguments are rows (`-- 1 4`; default: all) and options (`-- --quick`)."""
    session.install(".[bench]")
    # aioboto3 pins an older aiobotocore than the measured one, so it has its own environment.
    beside = Path(session.create_tmp()).resolve() / "aioboto3"
    session.run("python", "-m", "venv", str(beside), silent=True)
    python = str(beside / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", "aioboto3>=15.5,<16", external=True)
    session.run("python", "-m", "benchmarks", "--aioboto3-python", python, *session.posargs)

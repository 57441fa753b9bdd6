"""The verb `doctor`.

`--json` prints one document without secrets, for a bug report:

    {"bucketry": "0.1.0", "python": "3.13.5", "system": "Linux", "provider": "s3", "place": "s3://bucket/",
     "read_only": false,
     "configuration": [{"name": "region", "value": "eu-1", "source": "AWS_REGION"}, …],
     "checks": [{"group": "promises", "name": "put_if_none_match", "outcome": "kept", "text": "…", "advice": "",
                 "promised": true}, …],
     "counts": {"kept": 30, "different": 1, …},
     "server": "aws"}

`group` is `configuration`, `network`, `access`, `throughput`, `promises` or `cleanup`. `outcome` is `ok`, `warning`,
`failed`, `allowed`, `denied`, `kept`, `refused`, `different`, `more` (than the row says; no problem) or `not tested`.
`promised` is what the row says, for checks of the group `promises`. `server` is the value of the entry `server` that
fits the server better, or null. Secrets are only said to be set, and of a key's id the last four characters are shown.
Buckets, endpoints and error messages of the server are shown.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections import Counter
from dataclasses import asdict

from bucketry import __version__
from bucketry._cli.args import Arguments
from bucketry._cli.commands import UsageError
from bucketry._cli.exits import ACCESS, DONE, FAILED, exit_code
from bucketry._cli.globs import Glob
from bucketry._cli.output import Output, printable
from bucketry._cli.place import Places
from bucketry._cli.terminal import filled
from bucketry._doctor.configuration import ConfiguredEntry, list_entries
from bucketry._doctor.examine import Wanted, examine
from bucketry._doctor.values import PROBLEMS, Check
from bucketry._runtime.threads import in_steps
from bucketry.providers.factory import Configured

EXAMPLES = (
    ("doctor s3://my-bucket", "examine a bucket, its server and what the credentials allow"),
    ("doctor --url 's3://my-bucket?endpoint_url=https://minio.example:9000'", "examine a server of your own"),
    ("doctor --read-only", "examine the provider of the environment, and write nothing"),
    ("doctor s3://my-bucket --json", "print a document for a bug report, without secrets"),
)

_SIGNS = {
    "ok": "✓",
    "allowed": "✓",
    "kept": "✓",
    "warning": "!",
    "failed": "✗",
    "denied": "✗",
    "refused": "✗",
    "different": "✗",
    "more": "↑",
    "not tested": "–",
}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "–": "-", "↑": "^", "…": "...", "→": ">"})


class Options(Arguments):
    """The options of `doctor`."""

    place: str | None = None
    read_only: bool = False
    no_throughput: bool = False


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `doctor`."""
    parser.add_argument(
        "place",
        metavar="URL",
        nargs="?",
        help="what to examine: s3://bucket, or NAME: of a place; default: --url, --provider, else the environment",
    )
    parser.add_argument("--read-only", action="store_true", help="write nothing; most promises are not tested then")
    parser.add_argument("--no-throughput", action="store_true", help="do not send and read an object of 8 MiB")


async def run(options: Options, places: Places, output: Output) -> int:
    """Examine a provider, and print each check."""
    configured, key = places.configured(options.place)
    if options.place is not None and places.is_remote(options.place):
        key = _literal(key)
    configured = await in_steps(configured.with_secrets())
    entries = list_entries(configured)
    made: list[Check] = []
    page = _Report(output)
    page.begin(configured, entries)

    def report(check: Check) -> None:
        made.append(check)
        page.add(check)

    wanted = Wanted(read_only=options.read_only, throughput=not options.no_throughput, key=key)
    server = await examine(configured, wanted, report)
    if output.as_json:
        output.document(_document(configured, entries, made, server, read_only=options.read_only))
    else:
        page.end(made, server)
    return _code(made)


def _literal(key: str) -> str:
    glob = Glob(key)
    if not glob.is_plain:
        message = f"{key}: is a glob, but a bucket or a prefix is needed; write [*] for a plain *"
        raise UsageError(message)
    return glob.literal


def _code(made: list[Check]) -> int:
    problems = [check for check in made if check.outcome in PROBLEMS]
    for check in problems:
        if check.error is not None:
            return ACCESS if check.outcome == "denied" else exit_code(check.error)
    return FAILED if problems else DONE


def _document(
    configured: Configured, entries: list[ConfiguredEntry], made: list[Check], server: str, *, read_only: bool
) -> dict[str, object]:
    checks = [{name: value for name, value in asdict(check).items() if name != "error"} for check in made]
    return {
        "bucketry": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "provider": configured.kind,
        "place": configured.make().locate(),
        "read_only": read_only,
        "configuration": [asdict(entry) for entry in entries],
        "checks": checks,
        "counts": dict(Counter(check.outcome for check in made)),
        "server": server or None,
    }


class _Report:
    """Prints the checks for a reader, group by group, as they are made."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._group = ""
        self._untested: list[Check] = []
        self._plain = not _can_show("✓✗–↑", sys.stdout.encoding)

    def begin(self, configured: Configured, entries: list[ConfiguredEntry]) -> None:
        self._group = "configuration"
        self._line(f"configuration of {configured.kind}")
        width = max((len(entry.name) for entry in entries), default=0)
        for entry in entries:
            self._line(f"  {entry.name:{width}}  {printable(entry.value)}  ({entry.source})")

    def add(self, check: Check) -> None:
        same = check.outcome == "not tested" and self._untested and check.text == self._untested[0].text
        if check.group != self._group or not same:
            self._print_untested()
        if check.group != self._group:
            self._group = check.group
            self._line("")
            self._line(check.group)
        if check.outcome == "not tested":
            self._untested.append(check)
            return
        word = "" if check.outcome in {"ok", "kept", "allowed"} else f"{check.outcome}: "
        self._line(f"  {_SIGNS[check.outcome]} {check.name}: {word}{printable(check.text)}")
        if check.advice:
            self._line(f"      → {printable(check.advice)}")

    def _print_untested(self) -> None:
        """Print checks that were not made for one reason in one line, because there may be many of them."""
        untested, self._untested = self._untested, []
        if untested:
            first, last = untested[0].name, untested[-1].name
            names = first if len(untested) == 1 else f"{len(untested)} checks from {first} to {last}"
            self._line(f"  {_SIGNS['not tested']} {names}: not tested: {printable(untested[0].text)}")

    def end(self, made: list[Check], server: str) -> None:
        self._print_untested()
        counts = Counter(check.outcome for check in made)
        self._line("")
        self._line(", ".join(f"{number} {outcome}" for outcome, number in counts.items()))
        if server:
            self._line(f'the server fits another row better: add server = "{server}" (--server {server})')

    def _line(self, text: str) -> None:
        if not self._output.as_json:
            text = text.translate(_ASCII) if self._plain else text
            indent = " " * (len(text) - len(text.lstrip()) + 2)
            self._output.line(filled(text, sys.stdout, indent))


def _can_show(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True

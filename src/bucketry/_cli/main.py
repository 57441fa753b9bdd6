"""The entry point: runs a command line and returns an exit code; an error is reported in one line."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from bucketry._cli.args import Arguments, parse
from bucketry._cli.exits import BY_SIGNAL, DONE, exit_code
from bucketry._cli.output import Output
from bucketry._cli.rules import check

if TYPE_CHECKING:
    from bucketry._core.provider import IStorageProvider

    Verb: TypeAlias = Callable[[IStorageProvider, Arguments, Output], Coroutine[Any, Any, int]]

_SIGINT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code.

    Args:
        argv: The words after the program's name; `None`: the words with which this process was started.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for keys that the terminal cannot show
    # Set before parsing, because an error of the parser is reported in this form, too.
    output = Output(as_json="--json" in words, debug="--debug" in words)
    try:
        code = _run(words, output)
        sys.stdout.flush()  # here, so that the error of a full disk is reported
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        code = DONE
    except KeyboardInterrupt:  # before or after the event loop handles signals
        code = BY_SIGNAL + _SIGINT
    except Exception as error:  # noqa: BLE001 - the outermost function: report in one line
        output.error(error)
        code = exit_code(error)
    _flush_stdout()
    return code


def _run(words: Sequence[str], output: Output) -> int:
    arguments = parse(words)
    output.as_json, output.debug, output.verb = arguments.json, arguments.debug, arguments.command
    check(arguments)
    warnings.showwarning = lambda message, *_rest: output.note(f"warning: {message}")
    if arguments.debug:
        logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
        logging.getLogger("bucketry").setLevel(logging.DEBUG)
    # Imported only now, so that `--help` and usage errors do not load asyncio, and a command loads only its modules.
    from bucketry._cli.interrupt import run

    if arguments.command == "demo":
        from bucketry._cli.demo import demo

        return run(lambda: demo(arguments, output), output)

    from bucketry._cli.place import load_env_file, make_provider

    if arguments.env_file is not None:
        load_env_file(arguments.env_file, os.environ)
    provider = make_provider(arguments, os.environ)

    verb = _verb(arguments.command)
    return run(lambda: verb(provider, arguments, output), output)


def _verb(command: str) -> Verb:
    """Import the module of one verb, and return the verb's function."""
    if command in {"upload", "download"}:
        from bucketry._cli.transfers import download, upload

        return upload if command == "upload" else download
    from bucketry._cli.objects import cat, delete, info, list_objects

    return {"list": list_objects, "info": info, "delete": delete, "cat": cat}[command]


def _flush_stdout() -> None:
    """Print the buffered output. On an error, discard it, because the interpreter would fail to print it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)

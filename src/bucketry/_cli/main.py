"""The entry point: runs a command line and returns an exit code; an error is reported in one line."""

from __future__ import annotations

import gc
import io
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

from bucketry._cli.exits import BY_SIGNAL, DONE, FAILED, NOT_FOUND, exit_code
from bucketry._cli.output import Output
from bucketry._cli.parser import parse
from bucketry.errors import StorageError

_SIGINT = 2
_OF_NAMES = ("datasets ", "models ")  # the words of these verbs are names, versions and tags, and never places


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code.

    Args:
        argv: The words after the program's name; `None`: the words with which this process was started.
    """
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for the completions of a word
        return _complete()
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for keys that the terminal cannot show
    # Set before parsing, because an error of the parser is reported in this form, too.
    output = Output(as_json="--json" in words, debug="--debug" in words)
    try:
        code = _run(words, output, own_process=argv is None)
        sys.stdout.flush()  # here, so that the error of a full disk is reported
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        code = DONE
    except KeyboardInterrupt:  # before or after the event loop handles signals
        code = BY_SIGNAL + _SIGINT
    except Exception as error:  # noqa: BLE001 - the outermost function: report in one line
        output.error(error)
        code = exit_code(error)
    if code == NOT_FOUND and not output.as_json and not output.verb.startswith(_OF_NAMES):
        _say_which_are_places(words, output)
    _flush_stdout()
    return code


def _say_which_are_places(words: Sequence[str], output: Output) -> None:
    """Say which of the words, none of which names an object, would name places with a colon."""
    from bucketry.providers.places import read_places

    with suppress(StorageError):  # nothing depends on the file
        tables = read_places(os.environ).tables
        for word in words:
            if word in tables:
                output.note(f"{word} is a place of your configuration: did you mean '{word}:'?")


def _complete() -> int:
    try:
        from bucketry._cli.completion import complete
    except ImportError:  # argcomplete was removed, and the shell still has its script
        return FAILED
    complete(os.environ)
    return DONE


def _collect_what_is_new() -> None:
    """Let the collector search for garbage, but not among the modules, which would take 10 ms for the first search."""
    gc.freeze()
    gc.enable()


def _run(words: Sequence[str], output: Output, *, own_process: bool) -> int:
    command, verb, options = parse(words)
    # Imported only now, so that `--help` and usage errors do not load them.
    from bucketry._cli.interrupt import run
    from bucketry._cli.place import Places, read_named

    if own_process:
        _collect_what_is_new()
    output.as_json, output.debug, output.verb = options.json, options.debug, command.name
    output.quiet = getattr(options, "quiet", False)
    warnings.showwarning = lambda message, *_rest: output.warning(str(message))
    if options.debug:
        import logging

        logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
        logging.getLogger("bucketry").setLevel(logging.DEBUG)
    if options.env_file is not None:
        from bucketry._cli.env_file import load_env_file

        load_env_file(options.env_file, os.environ)
    named = read_named(options, os.environ)

    async def job() -> int:
        async with Places(options, os.environ, named) as places:
            return await verb.run(options, places, output)

    return run(job, output)


def _flush_stdout() -> None:
    """Print the buffered output. On an error, discard it, because the interpreter would fail to print it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)

"""The verb `completion`."""

from __future__ import annotations

import argparse

from bucketry._cli.args import Arguments
from bucketry._cli.exits import DONE
from bucketry._cli.output import Output
from bucketry._cli.place import Places
from bucketry.errors import ConfigError

EXAMPLES = (
    ("completion bash", 'print the script for bash; add to ~/.bashrc: eval "$(bucketry completion bash)"'),
    ("completion zsh", 'for zsh; add to ~/.zshrc, after compinit: eval "$(bucketry completion zsh)"'),
    ("completion fish", "for fish; add to ~/.config/fish/config.fish: bucketry completion fish | source"),
)


class Options(Arguments):
    """The options of `completion`."""

    shell: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `completion`."""
    parser.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help="bash, zsh or fish")


async def run(options: Options, places: Places, output: Output) -> int:
    """Print the script.

    Raises:
        ConfigError: argcomplete is not installed.
    """
    del places
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError as error:
        message = 'completion needs argcomplete: python -m pip install "bucketry[cli]"'
        raise ConfigError(message) from error
    # Without the defaults of bash: where no key is found, it would offer local files.
    script = shellcode(["bucketry"], use_defaults=False, shell=options.shell)
    if output.as_json:
        output.document({"shell": options.shell, "script": script})
    else:
        output.line(script)
    return DONE

"""Reads a file of environment variables, for `--env-file`."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from bucketry.errors import ConfigError


def load_env_file(file: str, environ: MutableMapping[str, str]) -> None:
    """Set those variables of a `.env` file that are not set in the environment.

    Args:
        file: The path of the file.
        environ: The process's own environment, because AWS's credential chain reads it, too.

    Raises:
        ConfigError: The file cannot be read, or python-dotenv is not installed.
    """
    try:
        from dotenv import dotenv_values
    except ImportError as error:
        message = '--env-file needs python-dotenv: python -m pip install "bucketry[cli]"'
        raise ConfigError(message) from error
    try:
        with Path(file).open(encoding="utf-8") as stream:
            found = dotenv_values(stream=stream)
        for name, value in found.items():
            if value is not None:
                environ.setdefault(name, value)
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        message = f"--env-file {file}: {problem}"
        raise ConfigError(message, path=file) from error

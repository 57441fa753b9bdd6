"""Makes the provider of a command, and closes it at the end."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

from bucketry._cli.args import ENTRIES, Arguments
from bucketry._core.config import MAX_CONNECTIONS, MEMORY_BUDGET, TransferConfig
from bucketry._core.provider import IStorageProvider
from bucketry._transfer.limits import default_config
from bucketry.errors import AccessDeniedError, ConfigError
from bucketry.providers.factory import is_same_class, provider_from, provider_of_url
from bucketry.providers.url import read_url

_OF_CLOUDS = ("AWS_BUCKET_NAME", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "BUCKETRY_ENDPOINT_URL")


def make_provider(arguments: Arguments, environ: Mapping[str, str]) -> IStorageProvider:
    """Make the provider named by `--url`, else by `--provider`, else by the environment; no I/O.

    Raises:
        ConfigError: The provider is unknown, or its configuration is missing, malformed or contradictory.
    """
    options = {name: getattr(arguments, name) for name in ENTRIES}
    entries = {name: value for name, value in options.items() if value is not None and value is not False}
    pool = None
    if (arguments.concurrency or 0) > MAX_CONNECTIONS:
        from bucketry import SessionPool

        pool = SessionPool(max_connections=arguments.concurrency)
    if arguments.url is not None:
        url = read_url(arguments.url)
        if arguments.provider and not is_same_class(arguments.provider, url.kind):
            message = f"--provider {arguments.provider} is not the provider of --url; leave one of them out"
            raise ConfigError(message)
        return provider_of_url(url, environ, entries, pool=pool)
    if not arguments.provider and not environ.get("STORAGE_PROVIDER"):
        _check_that_local_is_meant(entries, environ)
    return provider_from(environ, entries, kind=arguments.provider, pool=pool)


def _check_that_local_is_meant(entries: Mapping[str, object], environ: Mapping[str, str]) -> None:
    """Raise an error or warn if a cloud is configured but no provider is named, because the default is `local`."""
    hint = "give --url s3://BUCKET or --provider s3, or set STORAGE_PROVIDER"
    if entries:
        option = "--" + next(iter(entries)).replace("_", "-")
        message = (
            f"{option} is for a store in a cloud, but no provider is named, so the local directory is used; {hint}"
        )
        raise ConfigError(message)
    found = next((name for name in _OF_CLOUDS if environ.get(name)), None)
    if found is not None:
        warnings.warn(f"{found} is set, but no provider is named, so the local directory is used; {hint}", stacklevel=2)


def transfer_config(provider: IStorageProvider, arguments: Arguments) -> TransferConfig:
    """Turn the transfer options into a configuration.

    Raises:
        ConfigError: A number is out of range.
    """
    usual = default_config(provider).max_concurrency
    return TransferConfig(
        part_size=arguments.part_size,
        max_concurrency=usual if arguments.concurrency is None else arguments.concurrency,
        # A larger --part-size raises the budget, so that one such part fits.
        memory_budget=max(MEMORY_BUDGET, arguments.part_size or 0),
    )


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


@asynccontextmanager
async def in_use(
    provider: IStorageProvider, *, prove: Literal["nothing", "reads", "writes"] = "nothing"
) -> AsyncIterator[None]:
    """Check the connection at the beginning if needed, and disconnect at the end.

    The error of a list, get or delete request shows whether the bucket or the credentials are wrong, so a verb that
    begins with such a request needs no check. The error of a HEAD does not show this. In a transfer of a directory,
    each of many requests would report the same error.
    """
    try:
        if prove == "writes":
            with suppress(AccessDeniedError):  # the check reads, and some tokens only allow writes
                await provider.connect()
        elif prove == "reads" and not provider.capabilities.plain_paths:
            # Only for clouds, because `connect` of a local provider makes a missing directory, which a read should not.
            await provider.connect()
        yield
    finally:
        await provider.disconnect()

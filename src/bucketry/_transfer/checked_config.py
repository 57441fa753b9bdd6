"""Chooses the configuration of a provider's transfers, and checks it; loads no limits, which only transfers need."""

from __future__ import annotations

from dataclasses import replace

from bucketry._core.config import FIXED_CONCURRENCY, MAX_CONCURRENCY, TransferConfig
from bucketry._core.requests import ObjectRequests
from bucketry.errors import ConfigError


def default_config(provider: ObjectRequests) -> TransferConfig:
    """Return the default configuration for a provider; see `checked_config`."""
    return checked_config(provider, None)


def checked_config(provider: ObjectRequests, config: TransferConfig | None) -> TransferConfig:
    """Check the configuration, and return it; `None`: the default one.

    A default `max_concurrency` is lowered to the provider's connections; to `FIXED_CONCURRENCY` for a provider without
    connections, because nothing finds a lower number for a disk.

    Raises:
        ConfigError: It is no `TransferConfig`, or allows more parallel requests than the provider has connections.
    """
    if config is None:
        config = TransferConfig()
    if not isinstance(config, TransferConfig):
        message = f"TransferManager: config must be a TransferConfig, not {type(config).__name__}"
        raise ConfigError(message)
    connections: int | None = getattr(provider, "max_connections", None)
    if config.max_concurrency == MAX_CONCURRENCY:
        most = FIXED_CONCURRENCY if connections is None else connections
        return config if most >= MAX_CONCURRENCY else replace(config, max_concurrency=most)
    if connections is not None and connections < config.max_concurrency:
        message = (
            f"{provider.name}: max_connections {connections} is less than the transfer's max_concurrency "
            f"{config.max_concurrency}; increase max_connections or decrease max_concurrency"
        )
        raise ConfigError(message)
    return config

"""The typed dictionaries have the same entries as the configuration classes."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from typing import Any, Required, get_origin, get_type_hints

import pytest

from bucketry import providers
from bucketry._core import config, s3_config
from bucketry._core.entries import ProviderConfig

PAIRS = {
    providers.S3FamilyConfigDict: s3_config.S3FamilyConfig,
    providers.S3ConfigDict: s3_config.S3Config,
    providers.DigitalOceanConfigDict: s3_config.DigitalOceanConfig,
    providers.WasabiConfigDict: s3_config.WasabiConfig,
    providers.BackblazeConfigDict: s3_config.BackblazeConfig,
    providers.CloudflareR2ConfigDict: s3_config.CloudflareR2Config,
    providers.LocalConfigDict: config.LocalConfig,
    providers.MemoryConfigDict: config.MemoryConfig,
}
BOTH = pytest.mark.parametrize(("typed", "checked"), PAIRS.items(), ids=lambda each: each.__name__)


@BOTH
def test_names_and_types_agree(typed: type, checked: type[ProviderConfig]) -> None:
    """The dictionary has exactly the entries of the class, with the same types."""
    hints = get_type_hints(checked)
    assert get_type_hints(typed) == {entry.name: hints[entry.name] for entry in fields(checked)}


@BOTH
def test_what_must_be_given_is_required(typed: type, checked: type[ProviderConfig]) -> None:
    """Exactly the entries without a default are required."""
    hints = get_type_hints(typed, include_extras=True)
    needed = {entry.name for entry in fields(checked) if entry.default is entry.default_factory is MISSING}
    assert {name for name, hint in hints.items() if get_origin(hint) is Required} == needed


def test_every_configuration_has_one() -> None:
    """Every configuration class has a dictionary."""
    known = (vars(config) | vars(s3_config)).values()
    classes = {each for each in known if isinstance(each, type) and issubclass(each, ProviderConfig)}
    assert set(PAIRS.values()) == classes - {ProviderConfig, s3_config.S3RequestEntries}


@pytest.mark.parametrize("name", [name for name in providers.__all__ if hasattr(providers, f"{name[:-8]}ConfigDict")])
def test_constructors_take_it(name: str) -> None:
    """A provider's constructor has the dictionary in its type, so that editors complete a literal."""
    provider: Any = getattr(providers, name)
    taken = inspect.signature(provider).parameters["config"].annotation
    assert f"{name.removesuffix('Provider')}ConfigDict" in taken.split(" | ")
    assert "Mapping[str, Any]" in taken.split(" | ")

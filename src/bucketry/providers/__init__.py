"""The provider classes, the factory, and the names for writing your own provider; loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bucketry._core.checks import check_key as check_key
    from bucketry._core.checks import check_tags as check_tags
    from bucketry._core.conditions import cut_range as cut_range
    from bucketry._core.conditions import judge_read as judge_read
    from bucketry._core.conditions import judge_write as judge_write
    from bucketry._core.config_dicts import BackblazeConfigDict as BackblazeConfigDict
    from bucketry._core.config_dicts import CloudflareR2ConfigDict as CloudflareR2ConfigDict
    from bucketry._core.config_dicts import DigitalOceanConfigDict as DigitalOceanConfigDict
    from bucketry._core.config_dicts import LocalConfigDict as LocalConfigDict
    from bucketry._core.config_dicts import MemoryConfigDict as MemoryConfigDict
    from bucketry._core.config_dicts import S3ConfigDict as S3ConfigDict
    from bucketry._core.config_dicts import S3FamilyConfigDict as S3FamilyConfigDict
    from bucketry._core.config_dicts import WasabiConfigDict as WasabiConfigDict
    from bucketry._core.hedging import HedgeCounts as HedgeCounts
    from bucketry._core.optional import RangeSink as RangeSink
    from bucketry._core.options import ReadOptions as ReadOptions
    from bucketry._core.options import WriteKeywords as WriteKeywords
    from bucketry._core.options import WriteOptions as WriteOptions
    from bucketry._core.requests import BodyReader as BodyReader
    from bucketry._core.requests import ObjectRequests as ObjectRequests
    from bucketry._core.requests import RequiredRequests as RequiredRequests
    from bucketry._core.values import Body as Body
    from bucketry._core.values import FileRange as FileRange
    from bucketry._core.values import ListPage as ListPage
    from bucketry._core.values import MultipartUpload as MultipartUpload
    from bucketry._core.values import Part as Part
    from bucketry._core.values import VersionPage as VersionPage
    from bucketry._providers.stored.bodies import BytesBody as BytesBody
    from bucketry._providers.stored.listing import last_seen as last_seen
    from bucketry._providers.stored.listing import take_page as take_page
    from bucketry._runtime.file_bodies import read_body as read_body
    from bucketry._runtime.threads import in_thread as in_thread
    from bucketry.providers.factory import StorageProviderFactory as StorageProviderFactory
    from bucketry.providers.local import LocalProvider as LocalProvider
    from bucketry.providers.memory import MemoryProvider as MemoryProvider
    from bucketry.providers.prefixed import PrefixedProvider as PrefixedProvider
    from bucketry.providers.provider import StorageProvider as StorageProvider
    from bucketry.providers.s3 import BackblazeProvider as BackblazeProvider
    from bucketry.providers.s3 import CloudflareR2Provider as CloudflareR2Provider
    from bucketry.providers.s3 import DigitalOceanProvider as DigitalOceanProvider
    from bucketry.providers.s3 import S3FamilyProvider as S3FamilyProvider
    from bucketry.providers.s3 import S3Provider as S3Provider
    from bucketry.providers.s3 import WasabiProvider as WasabiProvider

_HOMES = {
    "BackblazeConfigDict": "_core.config_dicts",
    "BackblazeProvider": "providers.s3",
    "Body": "_core.values",
    "BodyReader": "_core.requests",
    "BytesBody": "_providers.stored.bodies",
    "CloudflareR2ConfigDict": "_core.config_dicts",
    "CloudflareR2Provider": "providers.s3",
    "DigitalOceanConfigDict": "_core.config_dicts",
    "DigitalOceanProvider": "providers.s3",
    "FileRange": "_core.values",
    "HedgeCounts": "_core.hedging",
    "ListPage": "_core.values",
    "LocalConfigDict": "_core.config_dicts",
    "LocalProvider": "providers.local",
    "MemoryConfigDict": "_core.config_dicts",
    "MemoryProvider": "providers.memory",
    "MultipartUpload": "_core.values",
    "ObjectRequests": "_core.requests",
    "Part": "_core.values",
    "PrefixedProvider": "providers.prefixed",
    "RangeSink": "_core.optional",
    "S3ConfigDict": "_core.config_dicts",
    "S3FamilyConfigDict": "_core.config_dicts",
    "ReadOptions": "_core.options",
    "RequiredRequests": "_core.requests",
    "S3FamilyProvider": "providers.s3",
    "S3Provider": "providers.s3",
    "StorageProvider": "providers.provider",
    "StorageProviderFactory": "providers.factory",
    "VersionPage": "_core.values",
    "WasabiConfigDict": "_core.config_dicts",
    "WasabiProvider": "providers.s3",
    "WriteKeywords": "_core.options",
    "WriteOptions": "_core.options",
    "check_key": "_core.checks",
    "check_tags": "_core.checks",
    "cut_range": "_core.conditions",
    "in_thread": "_runtime.threads",
    "judge_read": "_core.conditions",
    "judge_write": "_core.conditions",
    "last_seen": "_providers.stored.listing",
    "read_body": "_runtime.file_bodies",
    "take_page": "_providers.stored.listing",
}

__all__ = [
    "BackblazeConfigDict",
    "BackblazeProvider",
    "Body",
    "BodyReader",
    "BytesBody",
    "CloudflareR2ConfigDict",
    "CloudflareR2Provider",
    "DigitalOceanConfigDict",
    "DigitalOceanProvider",
    "FileRange",
    "HedgeCounts",
    "ListPage",
    "LocalConfigDict",
    "LocalProvider",
    "MemoryConfigDict",
    "MemoryProvider",
    "MultipartUpload",
    "ObjectRequests",
    "Part",
    "PrefixedProvider",
    "RangeSink",
    "ReadOptions",
    "RequiredRequests",
    "S3ConfigDict",
    "S3FamilyConfigDict",
    "S3FamilyProvider",
    "S3Provider",
    "StorageProvider",
    "StorageProviderFactory",
    "VersionPage",
    "WasabiConfigDict",
    "WasabiProvider",
    "WriteKeywords",
    "WriteOptions",
    "check_key",
    "check_tags",
    "cut_range",
    "in_thread",
    "judge_read",
    "judge_write",
    "last_seen",
    "read_body",
    "take_page",
]


if not TYPE_CHECKING:  # because of `__getattr__`, a type checker would accept every name

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
        """Load the module of a public name when it is first used."""
        if name not in _HOMES:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(import_module(f"bucketry.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__

"""bucketry: asynchronous object storage with one interface for the buckets of five clouds and the local disk.

Names are loaded on first use. So `import bucketry` is fast, and a program that uses only the local disk never loads an
S3 client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bucketry._core.capabilities import Capabilities as Capabilities
    from bucketry._core.config import TransferConfig as TransferConfig
    from bucketry._core.provider import IStorageProvider as IStorageProvider
    from bucketry._core.provider import ObjectStream as ObjectStream
    from bucketry._core.provider import Upload as Upload
    from bucketry._core.values import BatchResult as BatchResult
    from bucketry._core.values import ByteRange as ByteRange
    from bucketry._core.values import CommonPrefix as CommonPrefix
    from bucketry._core.values import ObjectInfo as ObjectInfo
    from bucketry._core.values import ObjectVersion as ObjectVersion
    from bucketry._core.values import Progress as Progress
    from bucketry._core.values import TransferResult as TransferResult
    from bucketry._cost.compare import compare_costs as compare_costs
    from bucketry._cost.values import CostEstimate as CostEstimate
    from bucketry._cost.values import CostItem as CostItem
    from bucketry._manage.datasets.values import DatasetInfo as DatasetInfo
    from bucketry._manage.datasets.values import DatasetResult as DatasetResult
    from bucketry._manage.manager import StorageManager as StorageManager
    from bucketry._manage.models.values import ModelVersion as ModelVersion
    from bucketry._manage.run.training import TrainingRun as TrainingRun
    from bucketry._manage.run.values import Checkpoint as Checkpoint
    from bucketry._manage.sync.price import PlanPrice as PlanPrice
    from bucketry._manage.sync.results import SyncResult as SyncResult
    from bucketry._manage.sync.saved import SyncPlan as SyncPlan
    from bucketry._manage.sync.values import SyncAction as SyncAction
    from bucketry._manage.sync.values import SyncProgress as SyncProgress
    from bucketry._manage.sync.values import SyncReport as SyncReport
    from bucketry._session.pool import SessionPool as SessionPool
    from bucketry._transfer.cache.object_cache import ObjectCache as ObjectCache
    from bucketry._transfer.manager import TransferManager as TransferManager
    from bucketry.errors import StorageError as StorageError
    from bucketry.providers.factory import StorageProviderFactory as StorageProviderFactory
    from bucketry.providers.factory import open_storage as open_storage
    from bucketry.providers.factory import storage_provider_from_env as storage_provider_from_env
    from bucketry.providers.local import LocalProvider as LocalProvider
    from bucketry.providers.memory import MemoryProvider as MemoryProvider
    from bucketry.providers.s3 import BackblazeProvider as BackblazeProvider
    from bucketry.providers.s3 import CloudflareR2Provider as CloudflareR2Provider
    from bucketry.providers.s3 import DigitalOceanProvider as DigitalOceanProvider
    from bucketry.providers.s3 import S3Provider as S3Provider
    from bucketry.providers.s3 import WasabiProvider as WasabiProvider

__version__ = "0.1.0"

_HOMES = {
    "BackblazeProvider": "providers.s3",
    "BatchResult": "_core.values",
    "ByteRange": "_core.values",
    "Capabilities": "_core.capabilities",
    "Checkpoint": "_manage.run.values",
    "CloudflareR2Provider": "providers.s3",
    "CommonPrefix": "_core.values",
    "CostEstimate": "_cost.values",
    "CostItem": "_cost.values",
    "DatasetInfo": "_manage.datasets.values",
    "DatasetResult": "_manage.datasets.values",
    "DigitalOceanProvider": "providers.s3",
    "IStorageProvider": "_core.provider",
    "LocalProvider": "providers.local",
    "MemoryProvider": "providers.memory",
    "ModelVersion": "_manage.models.values",
    "ObjectCache": "_transfer.cache.object_cache",
    "ObjectInfo": "_core.values",
    "ObjectStream": "_core.provider",
    "ObjectVersion": "_core.values",
    "PlanPrice": "_manage.sync.price",
    "Progress": "_core.values",
    "S3Provider": "providers.s3",
    "SessionPool": "_session.pool",
    "StorageError": "errors",
    "StorageManager": "_manage.manager",
    "StorageProviderFactory": "providers.factory",
    "SyncAction": "_manage.sync.values",
    "SyncPlan": "_manage.sync.saved",
    "SyncProgress": "_manage.sync.values",
    "SyncReport": "_manage.sync.values",
    "SyncResult": "_manage.sync.results",
    "TrainingRun": "_manage.run.training",
    "TransferConfig": "_core.config",
    "TransferManager": "_transfer.manager",
    "TransferResult": "_core.values",
    "Upload": "_core.provider",
    "WasabiProvider": "providers.s3",
    "compare_costs": "_cost.compare",
    "open_storage": "providers.factory",
    "storage_provider_from_env": "providers.factory",
}

__all__ = [
    "BackblazeProvider",
    "BatchResult",
    "ByteRange",
    "Capabilities",
    "Checkpoint",
    "CloudflareR2Provider",
    "CommonPrefix",
    "CostEstimate",
    "CostItem",
    "DatasetInfo",
    "DatasetResult",
    "DigitalOceanProvider",
    "IStorageProvider",
    "LocalProvider",
    "MemoryProvider",
    "ModelVersion",
    "ObjectCache",
    "ObjectInfo",
    "ObjectStream",
    "ObjectVersion",
    "PlanPrice",
    "Progress",
    "S3Provider",
    "SessionPool",
    "StorageError",
    "StorageManager",
    "StorageProviderFactory",
    "SyncAction",
    "SyncPlan",
    "SyncProgress",
    "SyncReport",
    "SyncResult",
    "TrainingRun",
    "TransferConfig",
    "TransferManager",
    "TransferResult",
    "Upload",
    "WasabiProvider",
    "compare_costs",
    "open_storage",
    "storage_provider_from_env",
]


if not TYPE_CHECKING:  # because of `__getattr__`, a type checker would accept every name

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
        """Load the module of a public name when it is first used."""
        if name not in _HOMES:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]

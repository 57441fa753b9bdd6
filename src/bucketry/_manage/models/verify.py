"""Verifies one version: compares stored checksums, and reads only the blobs without a stored checksum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from bucketry._core.values import ObjectInfo
from bucketry._manage.models.restore import damaged, missing
from bucketry._manage.models.stored import StoredModel
from bucketry._manage.models.values import ModelFile, ModelVersion, VerifyReport
from bucketry._runtime.threads import in_thread
from bucketry._transfer.workers import fan_out
from bucketry.errors import IntegrityError, NotFoundError, StorageError


@dataclass(slots=True)
class Verification:
    """One verification.

    Attributes:
        model: The model.
        version: The version.
    """

    model: StoredModel
    version: ModelVersion
    _by_checksum: int = 0
    _by_reading: int = 0
    _bytes_read: int = 0
    _failed: dict[str, StorageError] = field(default_factory=dict)

    async def run(self) -> VerifyReport:
        """Check every blob of the version; see `ModelMethods.verify_model`."""
        by_blob: dict[str, list[ModelFile]] = {}
        for file in self.version.files:
            by_blob.setdefault(file.blob, []).append(file)

        async def one(files: list[ModelFile]) -> None:
            try:
                await self._check(files[0])
            except NotFoundError:
                self._failed |= {file.path: missing(self.model, self.version, file) for file in files}
            except IntegrityError as error:
                self._failed |= dict.fromkeys((file.path for file in files), error)

        await fan_out(by_blob.values(), one, width=self.model.transfers.config.max_concurrency)
        return VerifyReport(
            version=self.version,
            by_checksum=self._by_checksum,
            by_reading=self._by_reading,
            bytes_read=self._bytes_read,
            failed=dict(sorted(self._failed.items())),
        )

    async def _check(self, file: ModelFile) -> None:
        key = self.model.keys.blob(file.blob)
        if self.model.provider.capabilities.stored_checksums:
            info = await self.model.provider.head(key)
            self._check_size(file, info)
            common = sorted(info.checksums.keys() & file.checksums.keys())
            for name in common:
                if info.checksums[name] != file.checksums[name]:
                    raise damaged(self.model, self.version, file, f"its {name} is {info.checksums[name]}")
            if common:
                self._by_checksum += 1
                return
        await self._read(key, file)

    async def _read(self, key: str, file: ModelFile) -> None:
        digest = hashlib.sha256()
        self._by_reading += 1
        async with self.model.provider.stream(key) as stream:
            self._check_size(file, stream.info)
            async for chunk in stream:
                await in_thread(digest.update, chunk)
                self._bytes_read += len(chunk)
        if digest.hexdigest() != file.sha256:
            raise damaged(self.model, self.version, file, f"the SHA-256 of its bytes is {digest.hexdigest()}")

    def _check_size(self, file: ModelFile, info: ObjectInfo) -> None:
        if info.size != file.size:
            raise damaged(self.model, self.version, file, f"it has {info.size} bytes")

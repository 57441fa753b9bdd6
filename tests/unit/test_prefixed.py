"""With a prefix, errors name the key that the caller gave."""

from __future__ import annotations

import pytest

from bucketry import MemoryProvider
from bucketry._core.values import MultipartUpload
from bucketry.errors import UploadNotFoundError
from bucketry.providers.prefixed import PrefixedProvider


async def test_the_parts_of_an_upload_that_is_gone() -> None:
    """An error of `list_parts` has the key without the prefix, as for every other method."""
    provider = PrefixedProvider(MemoryProvider(), "below/")
    with pytest.raises(UploadNotFoundError) as caught:
        await provider.list_parts(MultipartUpload(key="k", upload_id="gone"))
    assert (caught.value.key, caught.value.operation) == ("k", "list_parts")

"""Converts headers, which both transports use, to the parameters of botocore's methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bucketry._providers.s3.headers import META

_PARAMETERS = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
    "if-match": "IfMatch",
    "if-none-match": "IfNoneMatch",
    "x-amz-copy-source-server-side-encryption-customer-algorithm": "CopySourceSSECustomerAlgorithm",
    "x-amz-copy-source-server-side-encryption-customer-key": "CopySourceSSECustomerKey",
    "x-amz-copy-source-server-side-encryption-customer-key-md5": "CopySourceSSECustomerKeyMD5",
    "x-amz-expected-bucket-owner": "ExpectedBucketOwner",
    "x-amz-metadata-directive": "MetadataDirective",
    "x-amz-request-payer": "RequestPayer",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-server-side-encryption-bucket-key-enabled": "BucketKeyEnabled",
    "x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
    "x-amz-server-side-encryption-customer-key": "SSECustomerKey",
    "x-amz-server-side-encryption-customer-key-md5": "SSECustomerKeyMD5",
    "x-amz-source-expected-bucket-owner": "ExpectedSourceBucketOwner",
    "x-amz-storage-class": "StorageClass",
    "x-amz-tagging": "Tagging",
    "x-amz-tagging-directive": "TaggingDirective",
}


def parameters(*headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that make botocore send these headers; the headers' names are in lower case."""
    given: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    for each in headers:
        for name, value in each.items():
            if name.startswith(META):
                metadata[name.removeprefix(META)] = value
            else:
                parameter = _PARAMETERS[name]
                given[parameter] = value == "true" if parameter == "BucketKeyEnabled" else value
    return given | {"Metadata": metadata} if metadata else given

"""Decides whether the data plane, bucketry's own transport, may be used instead of aiobotocore.

The data plane supports only standard S3 endpoints, and no proxy.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from bucketry._session.endpoint import Endpoint
from bucketry._session.environment import Environment

_OTHER_BUCKETS = re.compile(r"arn:.*|.*--(?:x|op|ol|table)-s3")  # access points, and aliases of express, outposts, …
_OTHER_HOSTS = re.compile(r"(?:.*\.)?s3-(?:accelerate|fips|object-lambda|outposts)[.-].*|(?:.*\.)?s3express-.*")


def is_standard(endpoint: Endpoint, bucket: str) -> bool:
    """Return whether the data plane can send requests to this endpoint and bucket, if `is_proxied` is false."""
    host = urlsplit(endpoint.standard_url or "").hostname
    return host is not None and not _OTHER_BUCKETS.fullmatch(bucket) and not _OTHER_HOSTS.fullmatch(host)


def is_proxied(endpoint: Endpoint, environment: Environment) -> bool:
    """Return whether the environment or the system sets a proxy for the endpoint.

    It can block, because it may read system settings; not if `environment.may_name_proxy` is false.
    """
    if not environment.may_name_proxy:
        return False
    parts = urlsplit(endpoint.standard_url or "")
    if endpoint.loopback or not parts.hostname:
        return False  # a proxy cannot reach the loopback of this machine
    return environment.proxy(parts.scheme, parts.hostname) is not None

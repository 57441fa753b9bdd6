"""When the data plane may be used: it speaks to standard S3 endpoints, and to nothing else."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from bucketry._session.endpoint import Endpoint
from bucketry._session.environment import Environment

_OTHER_BUCKETS = re.compile(r"arn:.*|.*--(?:x|op|ol|table)-s3")  # access points and express, outposts, … by their alias
_OTHER_HOSTS = re.compile(r"(?:.*\.)?s3-(?:accelerate|fips|object-lambda|outposts)[.-].*|(?:.*\.)?s3express-.*")


def is_standard(endpoint: Endpoint, bucket: str) -> bool:
    """Tell whether endpoint and bucket are of the kind that standard requests reach; proxies are asked for later."""
    host = urlsplit(endpoint.standard_url or "").hostname
    return host is not None and not _OTHER_BUCKETS.fullmatch(bucket) and not _OTHER_HOSTS.fullmatch(host)


def is_proxied(endpoint: Endpoint, environment: Environment) -> bool:
    """Tell whether the environment, or the system, wants a proxy on the way; blocks where it asks the system."""
    parts = urlsplit(endpoint.standard_url or "")
    if endpoint.loopback or not parts.hostname:
        return False  # a proxy leads nowhere from here
    return environment.proxy(parts.scheme, parts.hostname) is not None

"""When the data plane may be used: it speaks to standard S3 endpoints, and to nothing else."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from bucketry._session.endpoint import Endpoint

_OTHER_BUCKETS = re.compile(r"arn:.*|.*--(?:x|op|ol|table)-s3")  # access points and express, outposts, … by their alias
_OTHER_HOSTS = re.compile(r"(?:.*\.)?s3-(?:accelerate|fips|object-lambda|outposts)[.-].*|(?:.*\.)?s3express-.*")

_OTHER_ENDPOINTS = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")


def is_standard(endpoint: Endpoint, bucket: str) -> bool:
    """Tell whether endpoint and bucket are of the kind that standard requests reach; proxies are asked for later."""
    host = urlsplit(endpoint.standard_url or "").hostname
    return host is not None and not _OTHER_BUCKETS.fullmatch(bucket) and not _OTHER_HOSTS.fullmatch(host)


def is_usual(environ: Mapping[str, str]) -> bool:
    """Tell whether no variable wants AWS to be reached at other than its usual endpoints."""
    return not any(environ.get(name, "").lower() == "true" for name in _OTHER_ENDPOINTS)


def is_proxied(endpoint: Endpoint) -> bool:
    """Tell whether the environment, or the system, wants a proxy on the way; blocks where it asks the system."""
    parts = urlsplit(endpoint.standard_url or "")
    if endpoint.loopback or not parts.hostname:
        return False  # a proxy leads nowhere from here
    return parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname)

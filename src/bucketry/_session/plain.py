"""Decides whether the data plane may be used: it supports plain endpoints only."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from bucketry._session.endpoint import Endpoint

_OTHER_BUCKETS = re.compile(r"arn:.*|.*--(?:x|op|ol|table)-s3")  # access points, and aliases of express, outposts, …
_OTHER_HOSTS = re.compile(r"(?:.*\.)?s3-(?:accelerate|fips|object-lambda|outposts)[.-].*|(?:.*\.)?s3express-.*")

_OTHER_ENDPOINTS = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")


def is_plain(endpoint: Endpoint, bucket: str) -> bool:
    """Tell whether the data plane can send requests to this endpoint and bucket; `is_proxied` checks for proxies."""
    host = urlsplit(endpoint.plain_url or "").hostname
    return host is not None and not _OTHER_BUCKETS.fullmatch(bucket) and not _OTHER_HOSTS.fullmatch(host)


def is_usual(environ: Mapping[str, str]) -> bool:
    """Tell whether no variable asks for other endpoints than AWS's standard ones."""
    return not any(environ.get(name, "").lower() == "true" for name in _OTHER_ENDPOINTS)


def is_proxied(endpoint: Endpoint) -> bool:
    """Tell whether the environment or the system sets a proxy for the endpoint; may block to read system settings."""
    parts = urlsplit(endpoint.plain_url or "")
    if endpoint.loopback or not parts.hostname:
        return False  # a proxy cannot reach the loopback of this machine
    return parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname)

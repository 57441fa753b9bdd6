"""Builds the endpoint from the configuration and the row; every part of a host name is checked before it is used."""

from __future__ import annotations

import ipaddress
import os
import re
import warnings
from dataclasses import fields
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from bucketry._core.config import MAX_CONNECTIONS
from bucketry._core.s3_config import CloudflareR2Config, S3Config, S3FamilyConfig
from bucketry._session.endpoint import Endpoint
from bucketry._vendors.row import Vendor
from bucketry.errors import ConfigError

# Compiled when they are needed: a provider needs two of them, and each takes 0.3 ms.
_HOST_PART = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # names of containers contain "_"
_NUMBER = r"[0-9]+|0[xX][0-9A-Fa-f]*"
_HOST_LENGTH = 253
_BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]"
_BUCKET_ARN = r"arn:aws[a-z-]*:s3[a-z0-9-]*:[a-z0-9-]*:[0-9]{12}:(?:accesspoint|outpost)[/:][A-Za-z0-9/:._-]+"
_DNS_BUCKET = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
# At these addresses, which are not link-local, clouds also serve instance secrets: EC2 over IPv6, Oracle, Alibaba.
_SECRET_ADDRESSES = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "192.0.0.192", "100.100.100.200")
)
_OTHER_PARTITIONS = ("cn-", "eusc-", "us-iso", "eu-iso")  # their host names do not end in amazonaws.com
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def resolve(config: S3FamilyConfig, vendor: Vendor, *, concurrency: int = 1) -> Endpoint:
    """Return the endpoint that the configuration names.

    Args:
        config: The provider's configuration.
        vendor: The vendor's row.
        concurrency: The concurrency of transfers; the default for `max_connections` is at least this number.

    Raises:
        ConfigError: A region, account, bucket or endpoint is malformed, or plain HTTP is not allowed there.
    """
    check_bucket(config.bucket_name, vendor)
    url = _given_url(config, vendor)
    region = _region(config, vendor, url)
    if url is None:
        if not vendor.endpoint_template:
            raise _fail(vendor, "endpoint_url", "is missing; give it as https://host[:port]")
        if not isinstance(config, S3Config):
            url = _built_url(config, vendor, region)
    return Endpoint(
        url=url,
        region=vendor.signing_region.format(region=region),
        addressing_style=_addressing_style(config, vendor, url),
        access_key=config.access_key,
        secret_key=config.secret_key,
        session_token=getattr(config, "session_token", None),
        profile=getattr(config, "profile", None),
        ca_bundle=os.fspath(config.ca_bundle) if config.ca_bundle is not None else None,
        timeouts=config.timeouts,
        max_connections=config.max_connections or max(MAX_CONNECTIONS, concurrency),
        signs_bodies="sha256" in (vendor.capabilities.put_checksum, vendor.capabilities.multipart_checksum),
        standard_url=url or _standard_aws_url(vendor, region),
        anonymous=config.anonymous,
        loopback=url is not None and _is_loopback(urlsplit(url).hostname or ""),
    )


def check_bucket(name: str, vendor: Vendor) -> None:
    """Refuse a bucket name that no vendor could have.

    Raises:
        ConfigError: The name does not have 3 to 63 letters, digits, dots, hyphens and (on old servers) underscores, and
            is no ARN of an access point.
    """
    if vendor.scheme == "s3" and name.startswith("arn:") and re.fullmatch(_BUCKET_ARN, name) and ".." not in name:
        return
    looks_like_address = re.fullmatch(r"[0-9]+(?:\.[0-9]+){3}", name) is not None
    if not re.fullmatch(_BUCKET, name) or ".." in name or looks_like_address:
        problem = f"{name!r} is not a bucket name: give 3 to 63 lower-case letters, digits, dots and hyphens"
        raise _fail(vendor, "bucket_name", problem)


def check_url(url: str, *, allow_http: bool, owner: str) -> SplitResult:
    """Refuse an endpoint that would leak credentials, or send them to a wrong host.

    Names are not resolved, so a name with a link-local address is accepted.

    Raises:
        ConfigError: The URL is no http or https URL with a host; it has user info, a query or a fragment; its host is a
            link-local address; or it is plain HTTP to another machine, and `allow_http` is false.
    """
    if "@" in url or "?" in url or "#" in url:  # the message does not show the URL, which may have secrets
        message = (
            f"{owner}: endpoint_url: holds user info, a query or a fragment; give https://host[:port], "
            "and credentials as configuration entries"
        )
        raise ConfigError(message)
    problem = _problem_of_url(url, allow_http=allow_http)
    if problem:
        message = f"{owner}: endpoint_url: {url!r}: {problem}"
        raise ConfigError(message)
    return urlsplit(url)


def _problem_of_url(url: str, *, allow_http: bool) -> str | None:
    # The characters are checked first, because urlsplit removes tabs and line ends without an error.
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "it has characters that an endpoint cannot have"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        return f"it is not a URL: {exc}"
    bare = f"[{host}]" if host and ":" in host else host
    # Accept only `host` or `host:port`, because different clients understand other forms, such as "[::1]evil.com" or
    # "host:", in different ways.
    is_host_and_port = parts.netloc.lower() == (bare if port is None else f"{bare}:{port}")
    if parts.scheme not in {"http", "https"} or not host or not is_host_and_port or port == 0:
        return "give it as https://host[:port]"
    if ".." in parts.path or "//" in parts.path or "%" in parts.path:
        return "its path has '..', '//' or '%', which cannot be signed; give another path"
    return _problem_of_host(host, plain=parts.scheme == "http" and not allow_http)


def _problem_of_host(host: str, *, plain: bool) -> str | None:
    address = _address(host)
    if address is None and not _is_host_name(host):
        return "its host is neither a name nor an address"
    if address is not None and (address.is_link_local or address in _SECRET_ADDRESSES):
        return "it is a link-local address, at which clouds serve instance secrets"
    if plain and not _is_loopback(host):
        return (
            "plain http would send data and signatures unprotected; use https, or allow it: "
            "allow_http=True, --allow-http or BUCKETRY_ALLOW_HTTP=1"
        )
    return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the host's address, or the IPv4 address that an IPv6 address contains; `None`: the host is a name."""
    try:
        address = ipaddress.ip_address(host.removesuffix("."))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(address.packed[-4:])
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_host_name(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    # The last label must not be a number, because resolvers read "2852039166", "0xa9fea9fe" and "169.254.43518" as
    # addresses.
    return (
        len(host) <= _HOST_LENGTH
        and all(re.fullmatch(_HOST_LABEL, label) for label in labels)
        and not re.fullmatch(_NUMBER, labels[-1])
    )


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback
    name = host.removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def _given_url(config: S3FamilyConfig, vendor: Vendor) -> str | None:
    url = config.endpoint_url
    if url is None:
        return None
    if "://" not in url:  # the B2 console shows endpoints without a scheme
        host = url.partition("/")[0].lower()
        if not vendor.endpoint_host or not re.fullmatch(vendor.endpoint_host, host):
            problem = f"{url!r} has no scheme; give https://{url} (http:// on the loopback, or with allow_http)"
            raise _fail(vendor, "endpoint_url", problem)
        url = f"https://{url}"
    parts = check_url(url, allow_http=config.allow_http, owner=vendor.name)
    host = (parts.hostname or "").removesuffix(".")
    rest = host.removeprefix(f"{config.bucket_name.lower()}.")
    is_vendors = bool(vendor.endpoint_host)
    if is_vendors and rest != host and re.fullmatch(vendor.endpoint_host, rest):
        # Users get this error if they copy an endpoint from the Spaces console, which puts the bucket before the host.
        raise _fail(vendor, "endpoint_url", f"{url!r} holds the bucket; give https://{rest}")
    if is_vendors and re.fullmatch(vendor.endpoint_host, host) and parts.path.strip("/"):
        # Users get this error if they copy an endpoint from the R2 console, which puts the bucket at the end.
        raise _fail(vendor, "endpoint_url", f"{url!r} holds a path; give https://{host}, and bucket_name")
    if parts.path.strip("/") == config.bucket_name:
        raise _fail(vendor, "endpoint_url", f"{url!r} ends in the bucket; leave it out: bucket_name already gives it")
    # Scheme and host are in lower case, so that `startswith("http://")` finds every plain URL.
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}".rstrip("/")


def is_own_endpoint(config: S3FamilyConfig, vendor: Vendor) -> bool:
    """Return whether requests go to the vendor's own servers. The host may begin with the bucket."""
    if config.endpoint_url is None:
        return True
    host = re.sub(r"^[a-z]+://", "", config.endpoint_url.lower()).partition("/")[0].partition(":")[0]
    return _own_host(host.removeprefix(f"{config.bucket_name}."), vendor) is not None


def _own_host(host: str, vendor: Vendor) -> re.Match[str] | None:
    return re.fullmatch(vendor.endpoint_host, host.removesuffix(".")) if vendor.endpoint_host else None


def _named_by(url: str | None, vendor: Vendor) -> dict[str, str | None]:
    """Return the region, account and jurisdiction in the name of a vendor's own host; empty for other hosts."""
    match = _own_host(urlsplit(url).hostname or "", vendor) if url is not None else None
    return match.groupdict() if match else {}


def _region(config: S3FamilyConfig, vendor: Vendor, url: str | None) -> str:
    named = _named_by(url, vendor)
    if isinstance(config, CloudflareR2Config):
        _check_account(config, vendor, named)
        return "auto"
    region: str | None = getattr(config, "region", None)
    if (host_region := named.get("region")) and region != host_region:
        # If the region equals the default, perhaps the user did not give it. Then the host's region is used without an
        # error.
        if region not in (None, *(entry.default for entry in fields(config) if entry.name == "region")):
            problem = f"{region!r} is not the endpoint's region {host_region!r}; leave it out"
            raise _fail(vendor, "region", problem)
        region = host_region
    if region is None:
        raise _fail(vendor, "region", f"cannot be read from the endpoint {url!r}; give it")
    if not re.fullmatch(_HOST_PART, region):
        example = f"; regions look like {vendor.regions[0]!r}" if vendor.regions else ""
        raise _fail(vendor, "region", f"{region!r} cannot be part of a host name{example}")
    if url is None and vendor.regions and region not in vendor.regions:
        message = f"{vendor.name}: region {region!r} is not known to this version; it is used anyway"
        warnings.warn(message, UserWarning, stacklevel=8)  # two of the frames are of `without_locals`
    return region


def _check_account(config: CloudflareR2Config, vendor: Vendor, named: dict[str, str | None]) -> None:
    if not named:
        return
    if named["account_id"] != config.account_id.lower():
        raise _fail(vendor, "account_id", "is not the account of endpoint_url; leave endpoint_url out")
    if config.jurisdiction is not None and named["jurisdiction"] != config.jurisdiction:
        problem = f"{config.jurisdiction!r} is not the jurisdiction of endpoint_url; leave endpoint_url out"
        raise _fail(vendor, "jurisdiction", problem)


def _built_url(config: S3FamilyConfig, vendor: Vendor, region: str) -> str:
    jurisdiction = getattr(config, "jurisdiction", None)
    return vendor.endpoint_template.format(
        region=region,
        account_id=getattr(config, "account_id", "").lower(),
        jurisdiction=f".{jurisdiction}" if jurisdiction else "",
    )


def _standard_aws_url(vendor: Vendor, region: str) -> str | None:
    """Return the endpoint of an AWS region; `None`: the region's host names may differ from the row's template."""
    usual = region in vendor.regions and not region.startswith(_OTHER_PARTITIONS)
    return vendor.endpoint_template.format(region=region) if usual else None


def _addressing_style(config: S3FamilyConfig, vendor: Vendor, url: str | None) -> Literal["path", "virtual"]:
    is_label = re.fullmatch(_DNS_BUCKET, config.bucket_name) is not None
    is_address = url is not None and _address(urlsplit(url).hostname or "") is not None
    if config.addressing_style == "virtual" and not is_label and not config.bucket_name.startswith("arn:"):
        # Refused, because botocore would use path style instead, without an error.
        problem = f"'virtual' needs a bucket name without dots, underscores and capitals: {config.bucket_name!r}"
        raise _fail(vendor, "addressing_style", problem)
    if config.addressing_style == "virtual" and is_address:
        raise _fail(vendor, "addressing_style", f"'virtual' needs a host with a name, and {url!r} has an address")
    if config.addressing_style != "auto":
        return config.addressing_style
    # A bucket name with a dot needs path style, because certificates do not cover its virtual host. Servers that are
    # not the vendor's own get path style, because few of them have virtual hosts.
    elsewhere = url is not None and _own_host(urlsplit(url).hostname or "", vendor) is None
    return vendor.addressing_style if is_label and not is_address and not elsewhere else "path"


def _fail(vendor: Vendor, name: str, problem: str) -> ConfigError:
    return ConfigError(f"{vendor.name}: {name}: {problem}")

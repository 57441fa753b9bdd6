"""Entries for payer, owner and encryption: their values, the vendors that lack them, and their headers."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.session import Session

from bucketry import (
    BackblazeProvider,
    CloudflareR2Provider,
    DigitalOceanProvider,
    S3Provider,
    WasabiProvider,
    open_storage,
    storage_provider_from_env,
)
from bucketry._core.s3_config import S3Config
from bucketry._providers.s3.boto.parameters import _PARAMETERS, parameters
from bucketry._providers.s3.configured import HiddenText
from bucketry.errors import ConfigError

KEY = b"customer key of thirty-two bytes"
ENCODED = base64.b64encode(KEY).decode()
BASE = {"bucket_name": "bkt", "access_key_id": "a", "secret_access_key": "b"}
KINDS = {
    "aws": (S3Provider, {}),
    "generic": (S3Provider, {"endpoint_url": "http://127.0.0.1:9"}),
    "declared": (WasabiProvider, {"endpoint_url": "http://127.0.0.1:9", "server": "aws"}),
    "spaces": (DigitalOceanProvider, {}),
    "wasabi": (WasabiProvider, {}),
    "b2": (BackblazeProvider, {"key_id": "a", "application_key": "b", "region": "us-west-004"}),
    "r2": (CloudflareR2Provider, {"account_id": "0123456789abcdef" * 2}),
}
ENTRIES: dict[str, dict[str, Any]] = {
    "AES256": {"server_side_encryption": "AES256"},
    "aws:kms": {"server_side_encryption": "aws:kms", "kms_key_id": "alias/a", "bucket_key": True},
    "customer": {"sse_customer_key": KEY},
    "payer": {"request_payer": True},
    "owner": {"expected_bucket_owner": "123456789012"},
}
ALLOWED = {
    "aws": set(ENTRIES),
    "declared": set(ENTRIES),
    "generic": {"payer"},
    "spaces": {"customer"},
    "wasabi": set(),
    "b2": {"AES256"},
    "r2": {"customer"},
}


def make(place: str, **entries: object) -> Any:
    """Make a provider; nothing is asked of any server."""
    kind, more = KINDS[place]
    own = {} if place == "b2" else BASE
    return kind({"bucket_name": "bkt", **own, **more, **entries})


@pytest.mark.parametrize("place", KINDS)
@pytest.mark.parametrize("what", ENTRIES)
def test_a_vendor_that_does_not_have_it_refuses_at_construction(place: str, what: str) -> None:
    """An entry that the row does not support is refused before any request; the message names it, not its value."""
    if what in ALLOWED[place]:
        make(place, **ENTRIES[what])
        return
    with pytest.raises(ConfigError, match=f"{next(iter(ENTRIES[what]))}.*not known to do this") as caught:
        make(place, **ENTRIES[what])
    assert ENCODED not in str(caught.value)
    assert ("server='aws'" in str(caught.value)) == (place == "generic")


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({"server_side_encryption": "aes256"}, "server_side_encryption: 'aes256' is unknown.*AES256"),
        ({"kms_key_id": "k"}, "kms_key_id: is for server_side_encryption='aws:kms'"),
        ({"kms_key_id": "alias/ö", "server_side_encryption": "aws:kms"}, "kms_key_id: 'alias/ö' is not ASCII"),
        ({"bucket_key": True, "server_side_encryption": "AES256"}, "bucket_key: is for"),
        ({"bucket_key": 1}, "bucket_key: must be a bool"),
        ({"request_payer": "requester"}, "request_payer: must be a bool"),
        ({"expected_bucket_owner": "12345678901"}, "12 digits"),
        ({"expected_bucket_owner": "12345678901a"}, "12 digits"),
        ({"expected_bucket_owner": "١٢٣٤٥٦٧٨٩٠١٢"}, "12 digits"),
        ({"expected_bucket_owner": 123456789012}, "must be a str"),
        ({"sse_customer_key": KEY, "server_side_encryption": "AES256"}, "sse_customer_key: server_side_encryption is"),
        *(
            ({"sse_customer_key": wrong}, "sse_customer_key: must be 32 bytes")
            for wrong in (KEY[:-1], KEY + b"x", "not base64 ?", ENCODED[:-4], ENCODED + "\n", 7, bytearray(KEY))
        ),
    ],
)
def test_malformed_entries(entries: dict[str, Any], problem: str) -> None:
    """The message names the entry, and never shows a key."""
    with pytest.raises(ConfigError, match=problem) as caught:
        make("aws", **entries)
    assert "customer key" not in str(caught.value)
    assert ENCODED[:20] not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_a_customers_key_never_crosses_a_network_in_clear(scheme: str) -> None:
    """Plain HTTP is refused, also where it is allowed for other requests; on the loopback it is not."""
    with pytest.raises(ConfigError, match="plain http would send the key"):
        make("declared", endpoint_url=f"{scheme}://storage.example", allow_http=True, sse_customer_key=KEY)
    make("declared", endpoint_url="http://storage.example", allow_http=True)
    make("declared", endpoint_url="https://storage.example", sse_customer_key=KEY)
    make("declared", sse_customer_key=ENCODED)


def test_entries_of_the_environment() -> None:
    """Each has its variable; a key is refused in a URL."""
    environ = {
        "STORAGE_PROVIDER": "s3",
        "AWS_BUCKET_NAME": "bkt",
        "BUCKETRY_REQUEST_PAYER": "yes",
        "BUCKETRY_EXPECTED_BUCKET_OWNER": "123456789012",
    }
    kms = {
        "BUCKETRY_SERVER_SIDE_ENCRYPTION": "aws:kms",
        "BUCKETRY_KMS_KEY_ID": "alias/a",
        "BUCKETRY_BUCKET_KEY": "1",
    }
    storage_provider_from_env(environ | kms)
    config = S3Config.from_environment(environ | kms)
    assert (config.request_payer, config.expected_bucket_owner) == (True, "123456789012")
    assert (config.server_side_encryption, config.kms_key_id, config.bucket_key) == ("aws:kms", "alias/a", True)
    config = S3Config.from_environment(environ | {"BUCKETRY_SSE_CUSTOMER_KEY": ENCODED})
    assert config.customer_key == KEY
    assert ENCODED not in repr(config)
    with pytest.raises(ConfigError, match="sse_customer_key: is a secret") as caught:
        open_storage(f"s3://bkt?sse_customer_key={ENCODED[:-1]}")
    assert ENCODED[:-1] not in str(caught.value)
    assert open_storage("s3://bkt?request_payer=1&server_side_encryption=AES256").locate() == "s3://bkt/"


def test_every_header_has_botocores_parameter() -> None:
    """The table says what botocore's model says, so that both transports send the same header."""
    model = Session().get_service_model("s3")
    theirs = {
        member.serialization["name"].lower(): name
        for operation in ("PutObject", "CopyObject", "UploadPartCopy")
        for name, member in model.operation_model(operation).input_shape.members.items()
        if member.serialization.get("location") == "header"
    }
    assert {name: theirs[name] for name in _PARAMETERS} == _PARAMETERS
    given = {"x-amz-meta-a": "1", "x-amz-meta-b": "2", "x-amz-storage-class": "C"}
    assert parameters(given, {"x-amz-server-side-encryption-bucket-key-enabled": "true"}) == {
        "Metadata": {"a": "1", "b": "2"},
        "StorageClass": "C",
        "BucketKeyEnabled": True,
    }
    assert parameters({}) == {}


def test_a_hidden_text_is_a_text() -> None:
    """A hidden text is sent like any other text; only its repr hides it."""
    text = HiddenText("secret")
    assert (f"{text}", text.split(), str(text)) == ("secret", ["secret"], "secret")
    assert "secret" not in repr({"a": text, "b": (text,)})

"""Providers by name, from the environment and by URL."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bucketry import (
    BackblazeProvider,
    CloudflareR2Provider,
    DigitalOceanProvider,
    IStorageProvider,
    LocalProvider,
    MemoryProvider,
    S3Provider,
    SessionPool,
    StorageProviderFactory,
    TransferConfig,
    WasabiProvider,
    open_storage,
    storage_provider_from_env,
)
from bucketry.errors import ConfigError
from bucketry.providers import PrefixedProvider

KEYS = {"bucket_name": "bucket", "access_key_id": "key", "secret_access_key": "canary"}
B2 = {"bucket_name": "bucket", "key_id": "key", "application_key": "canary", "region": "us-west-004"}
R2 = KEYS | {"account_id": "0123456789abcdef" * 2}
NAMES = {
    "local": (LocalProvider, {}),
    "s3": (S3Provider, KEYS),
    "aws": (S3Provider, KEYS),
    "digitalocean": (DigitalOceanProvider, KEYS),
    "do": (DigitalOceanProvider, KEYS),
    "spaces": (DigitalOceanProvider, KEYS),
    "wasabi": (WasabiProvider, KEYS),
    "backblaze": (BackblazeProvider, B2),
    "b2": (BackblazeProvider, B2),
    "cloudflare": (CloudflareR2Provider, R2),
    "r2": (CloudflareR2Provider, R2),
    "cloudflare_r2": (CloudflareR2Provider, R2),
    "memory": (MemoryProvider, {}),
}


def test_the_names_come_in_their_order() -> None:
    """The twelve classic names come first, in the contract's order."""
    assert StorageProviderFactory.get_registered_providers()[:12] == list(NAMES)[:12]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_makes_its_class(name: str) -> None:
    """Each name and alias makes its provider class, which satisfies the protocol."""
    kind, config = NAMES[name]
    provider = StorageProviderFactory.create({"provider_type": name, **config})
    assert type(provider) is kind
    assert isinstance(provider, IStorageProvider)
    assert "canary" not in repr(provider)


def test_pool_and_transfer_reach_the_provider() -> None:
    """The factory passes on the pool and the transfer configuration."""
    pool, transfer = SessionPool(), TransferConfig(max_concurrency=2)
    provider: Any = StorageProviderFactory.create({"provider_type": "s3", **KEYS}, pool=pool, transfer=transfer)
    assert provider._pool is pool
    assert provider.transfer.config == transfer


@pytest.mark.parametrize("kind", ["wasaby", "azure", "S4"])
def test_an_unknown_name_is_refused(kind: str) -> None:
    """An unknown type is a configuration error that names similar ones."""
    with pytest.raises(ConfigError, match=kind) as caught:
        StorageProviderFactory.create({"provider_type": kind})
    if kind == "wasaby":
        assert "did you mean 'wasabi'" in str(caught.value)


@pytest.mark.parametrize("config", [{}, {"provider_type": ""}, {"provider_type": 3}, None, "s3"])
def test_a_missing_type_is_refused(config: Any) -> None:
    """A missing type is a configuration error."""
    with pytest.raises(ConfigError, match=r"provider_type|mapping"):
        StorageProviderFactory.create(config)


def test_a_registered_class_is_made() -> None:
    """A registered class has its own name, after the built-in ones."""

    class Factory(StorageProviderFactory):
        """A factory with its own registry, so that other tests do not see its names."""

        _registered: ClassVar[dict[str, type[Any]]] = {}

    Factory.register("mine", MemoryProvider)
    assert isinstance(Factory.create({"provider_type": "mine"}), MemoryProvider)
    assert "mine" in Factory.get_registered_providers()
    assert "mine" not in StorageProviderFactory.get_registered_providers()
    for taken in ("s3", "S3", "", "local"):
        with pytest.raises(ConfigError):
            Factory.register(taken, MemoryProvider)
    with pytest.raises(ConfigError, match="class"):
        Factory.register("other", "MemoryProvider")  # type: ignore[arg-type]  # on purpose


def test_an_entry_point_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider of another installed package is found by the entry-point group."""
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bucketry.providers]\nother = bucketry.providers.memory:MemoryProvider\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert isinstance(StorageProviderFactory.create({"provider_type": "other"}), MemoryProvider)
    assert StorageProviderFactory.get_registered_providers()[-1] == "other"


def test_an_unknown_name_in_the_environment_is_refused() -> None:
    """The error names the variable that has the unknown name."""
    with pytest.raises(ConfigError, match=r"^STORAGE_PROVIDER='s33' is unknown; did you mean 's3'"):
        storage_provider_from_env({"STORAGE_PROVIDER": "s33"})
    with pytest.raises(ConfigError, match=r"^provider_type 's33' is unknown; did you mean 's3'"):
        StorageProviderFactory.create({"provider_type": "s33"})


def test_the_environment_names_the_provider(tmp_path: Path) -> None:
    """STORAGE_PROVIDER chooses the provider, local is the default, and only the given mapping is read."""
    assert isinstance(storage_provider_from_env({}), LocalProvider)
    local = storage_provider_from_env({"LOCAL_STORAGE_PATH": str(tmp_path)})
    assert local.locate("k") == f"file://{tmp_path}/k"
    environ = {"STORAGE_PROVIDER": "Wasabi", "WASABI_BUCKET": "bucket", "WASABI_ACCESS_KEY": "key"}
    with pytest.raises(ConfigError, match="WASABI_SECRET_KEY or WASABI_SECRET_ACCESS_KEY"):
        storage_provider_from_env(environ)
    assert isinstance(storage_provider_from_env(environ | {"WASABI_SECRET_KEY": "canary"}), WasabiProvider)
    with pytest.raises(ConfigError, match="did you mean 'wasabi'"):
        storage_provider_from_env({"STORAGE_PROVIDER": "wasaby"})


@pytest.mark.parametrize(
    ("url", "config", "kind", "location"),
    [
        ("s3://bucket", KEYS, S3Provider, "s3://bucket/k"),
        ("s3://bucket/a/b", KEYS, PrefixedProvider, "s3://bucket/a/b/k"),
        ("s3://bucket/a%20b/", KEYS, PrefixedProvider, "s3://bucket/a b/k"),
        ("r2://bucket", R2, CloudflareR2Provider, "r2://bucket/k"),
        ("b2://bucket", B2, BackblazeProvider, "b2://bucket/k"),
        ("wasabi://bucket", KEYS, WasabiProvider, "wasabi://bucket/k"),
        ("spaces://bucket", KEYS, DigitalOceanProvider, "spaces://bucket/k"),
        ("file:///tmp/there", {}, LocalProvider, "file:///tmp/there/k"),
        ("memory://", {}, MemoryProvider, "memory:///k"),
    ],
)
def test_a_url_makes_a_provider(url: str, config: dict[str, str], kind: type, location: str) -> None:
    """Each scheme makes its provider, with the URL's prefix."""
    own = {name: value for name, value in config.items() if name != "bucket_name"}
    provider = open_storage(url, **own)
    assert type(provider) is kind
    assert provider.locate("k") == location
    assert isinstance(provider, IStorageProvider)


def test_a_url_takes_credentials_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials, which a URL must not contain, come from the provider's variables."""
    monkeypatch.setenv("WASABI_ACCESS_KEY", "key")
    monkeypatch.setenv("WASABI_SECRET_KEY", "canary")
    assert open_storage("wasabi://bucket").locate() == "wasabi://bucket/"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket",
        "s4://bucket",
        "s3:bucket",
        "s3://",
        "s3://user:canary@bucket",
        "s3://bucket?x=1",
        "s3://bucket?canary",
        "s3://bucket?region=a&region=b",
        "s3://bucket#canary",
        "s3://bucket?bucket_name=other",
        "file:///x?region=a",
        "memory://?base_path=a",
        "user:canary@bucket",
        "bucket?secret_access_key=canary",
        "file://host?secret_access_key=canary",
        "file://host/x",
        "file://",
    ],
)
def test_a_malformed_url_is_refused(url: str) -> None:
    """A malformed URL is a configuration error that shows no password."""
    with pytest.raises(ConfigError) as caught:
        open_storage(url, access_key_id="key", secret_access_key="canary")
    assert "canary" not in str(caught.value)


async def test_a_prefix_names_keys_below_it() -> None:
    """With a prefix, the same objects have shorter keys, in all methods."""
    inner = MemoryProvider()
    await inner.put("a/b/one", b"1")
    await inner.put("a/bother", b"no")
    outer = PrefixedProvider(inner, "a/b/")
    await outer.put("two", b"22", metadata={"x": "y"})
    assert await outer.list_files() == ["one", "two"]
    assert await inner.list_files() == ["a/b/one", "a/b/two", "a/bother"]
    assert (await outer.head("two")).key == "two"
    assert await outer.get("two") == b"22"
    assert (await outer.copy("two", "three")).key == "three"
    assert (await outer.delete_many(["two", "none"])).succeeded == ("two", "none")
    assert await inner.list_files("a/b/") == ["a/b/one", "a/b/three"]
    with pytest.raises(FileNotFoundError, match="a/b/none"):
        await outer.get("none")


def test_a_prefixed_provider_pickles(tmp_path: Path) -> None:
    """A pickled prefixed provider keeps its inner provider and its prefix."""
    outer = PrefixedProvider(LocalProvider({"base_path": tmp_path}), "a/")
    assert pickle.loads(pickle.dumps(outer)).locate("k") == f"file://{tmp_path}/a/k"


def test_concurrency_beyond_the_connections_is_refused() -> None:
    """A concurrency above the number of connections is a configuration error."""
    with pytest.raises(ConfigError, match="max_connections 4"):
        S3Provider(KEYS | {"max_connections": 4}, transfer=TransferConfig(max_concurrency=8))
    with pytest.raises(ConfigError, match="max_connections 2"):
        S3Provider(KEYS, pool=SessionPool(max_connections=2), transfer=TransferConfig(max_concurrency=8))


@pytest.mark.parametrize(
    ("url", "enforced"),
    [
        (None, True),
        ("https://s3.eu-west-1.amazonaws.com", True),
        ("s3.eu-west-1.amazonaws.com", True),
        ("http://127.0.0.1:9000", False),
        ("https://minio.example.org", False),
        ("https://amazonaws.com.example.org", False),
    ],
)
def test_only_aws_is_trusted_as_aws(url: str | None, enforced: bool) -> None:
    """On a host outside AWS no condition is trusted, unless the configuration says so."""
    provider = S3Provider(KEYS | {"endpoint_url": url})
    assert provider.capabilities.conditional_put is enforced
    if url:
        assert S3Provider(KEYS | {"endpoint_url": url, "server": "aws"}).capabilities.conditional_put


def test_a_servers_promises_may_be_said_of_every_provider() -> None:
    """`server` sets the features of your own endpoint, but not the provider's name and endpoints."""
    elsewhere = {"endpoint_url": "https://minio.example.org"}
    for name, (kind, config) in NAMES.items():
        if name in {"local", "memory"}:
            continue
        provider = kind({**config, **elsewhere, "server": "aws"})
        assert (provider.name, provider.locate("k")) == (kind(config).name, kind(config).locate("k"))
        assert provider.capabilities.conditional_put
        assert not kind({**config, **elsewhere, "server": "generic"}).capabilities.conditional_put


def test_a_vendors_own_servers_are_not_said_to_be_another() -> None:
    """`server` cannot change the features of a vendor's own endpoint."""
    for entries in ({}, {"endpoint_url": "https://s3.us-east-1.wasabisys.com"}):
        with pytest.raises(ConfigError, match="wasabi: server: 'aws' is for a server of your own"):
            WasabiProvider({**KEYS, **entries, "server": "aws"})


@pytest.mark.parametrize(
    ("query", "entry", "value"),
    [
        ("endpoint_url=http://minio:9000&allow_http=true", "endpoint_url", "http://minio:9000"),
        ("endpoint_url=http%3A%2F%2Fminio%3A9000&server=aws&allow_http=1", "server", "aws"),
        ("region=eu-west-1", "region", "eu-west-1"),
        ("addressing_style=path", "addressing_style", "path"),
        ("anonymous=yes", "anonymous", True),
        ("max_attempts=2", "max_attempts", 2),
        ("read_timeout=2.5", "read_timeout", 2.5),
        ("profile=work", "profile", "work"),
    ],
)
def test_entries_stand_in_a_urls_query(query: str, entry: str, value: object) -> None:
    """Each entry except secrets may be in the URL's query, and is converted to its type."""
    provider: Any = open_storage(f"s3://bucket/some/prefix?{query}")
    assert provider.locate("k") == "s3://bucket/some/prefix/k"
    assert getattr(provider.inner._config, entry) == value


@pytest.mark.parametrize("name", ["access_key_id", "secret_access_key", "session_token", "application_key", "key_id"])
def test_a_secret_in_a_query_is_refused_and_not_repeated(name: str) -> None:
    """URLs are shown and logged, so the error for a secret names only the entry."""
    with pytest.raises(ConfigError, match=f"s3: {name}: is a secret") as caught:
        open_storage(f"s3://bucket?{name}=canary")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("endpoint=x", "s3: endpoint: unknown entry in the URL's query; did you mean 'endpoint_url'"),
        ("secret_key=canary", "s3: secret_key: unknown entry"),
        ("allow_http=perhaps", "s3: allow_http in the URL's query: 'perhaps' is neither yes nor no"),
        ("max_attempts=few", "s3: max_attempts in the URL's query: 'few' is not a whole number"),
        ("canary", "name=value"),
        ("region=a&region=b", "gives 'region' twice"),
    ],
)
def test_a_wrong_query_is_refused(query: str, hint: str) -> None:
    """A wrong query is refused, and the error names the wrong part or a similar entry."""
    with pytest.raises(ConfigError) as caught:
        open_storage(f"s3://bucket?{query}")
    assert hint in str(caught.value)
    assert "canary" not in str(caught.value)


def test_what_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one entry, the query comes first, then the vendor's variable, then ours."""

    def region(url: str, **entries: str) -> str:
        provider: Any = open_storage(url, **KEYS | {"bucket_name": "bucket"} | entries)
        found: str = provider._config.region
        return found

    assert region("s3://bucket") == "us-east-1"
    monkeypatch.setenv("BUCKETRY_REGION", "eu-west-1")
    assert region("s3://bucket") == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    assert region("s3://bucket") == "eu-west-2"
    assert region("s3://bucket?region=eu-west-3") == "eu-west-3"
    assert region("s3://bucket?region=eu-west-3", region="eu-west-3") == "eu-west-3"
    assert region("s3://bucket", region="eu-central-1") == "eu-central-1"
    with pytest.raises(ConfigError, match="s3: region: the URL gives one value"):
        region("s3://bucket?region=eu-west-3", region="eu-central-1")
    with pytest.raises(ConfigError, match="s3: bucket_name: the URL gives one value"):
        region("s3://other")


def test_who_asks_is_said_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """`anonymous` or a profile replaces the environment's keys, and given keys replace `anonymous`."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    nobody: Any = open_storage("s3://bucket?anonymous=1")
    assert (nobody._config.anonymous, nobody._config.access_key) == (True, None)
    somebody: Any = open_storage("s3://bucket", profile="work")
    assert (somebody._config.profile, somebody._config.access_key) == ("work", None)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of the environment's keys")
    monkeypatch.setenv("AWS_PROFILE", "work")
    own: Any = open_storage("s3://bucket", access_key_id="other", secret_access_key="canary")
    assert (own._config.access_key, own._config.session_token, own._config.profile) == ("other", None, None)
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("BUCKETRY_ANONYMOUS", "1")
    with pytest.raises(ConfigError, match="s3: anonymous: access_key_id is given too"):
        open_storage("s3://bucket")
    given: Any = open_storage("s3://bucket", access_key_id="other", secret_access_key="canary")
    assert (given._config.anonymous, given._config.access_key) == (False, "other")


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/prefix", "file:///tmp/there", "memory://", "memory://a"])
def test_a_url_takes_how_to_transfer(url: str) -> None:
    """`transfer` is passed to the provider of every scheme, also with a prefix."""
    transfer = TransferConfig(max_concurrency=3)
    provider: Any = open_storage(url, transfer=transfer, **({"anonymous": True} if url.startswith("s3") else {}))
    assert provider.transfer.config == transfer
    assert getattr(provider, "inner", provider).transfer.config == transfer


def test_connections_follow_the_concurrency() -> None:
    """Unless a number is configured, one `max_concurrency` sets slots and connections together."""
    for concurrency, connections in ((8, 80), (100, 100)):
        provider = S3Provider(KEYS, transfer=TransferConfig(max_concurrency=concurrency))
        assert provider._bucket.endpoint.max_connections == connections

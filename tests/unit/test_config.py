"""Configuration: read once from a mapping or the environment, checked, frozen, without secrets in its repr."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketry._core.config import LocalConfig, MemoryConfig, TransferConfig
from bucketry._core.entries import ProviderConfig, nearest
from bucketry._core.s3_config import (
    BackblazeConfig,
    CloudflareR2Config,
    DigitalOceanConfig,
    S3Config,
    S3FamilyConfig,
    WasabiConfig,
)
from bucketry._core.units import GiB, KiB, MiB
from bucketry.errors import ConfigError

ACCOUNT = "0123456789abcdef0123456789abcdef"
ACCESS = "AKIA-ACCESS-HALF"
SECRET = "s3cret/half+of=it"
TOKEN = "t0ken/of+session=="
KEYS = {"bucket_name": "my-bucket", "access_key_id": ACCESS, "secret_access_key": SECRET}
B2_KEYS = {"bucket_name": "my-bucket", "key_id": ACCESS, "application_key": SECRET}

COMPLETE: dict[type[ProviderConfig], dict[str, Any]] = {
    S3Config: {**KEYS, "session_token": TOKEN},
    DigitalOceanConfig: KEYS,
    WasabiConfig: KEYS,
    BackblazeConfig: {**B2_KEYS, "region": "us-west-004"},
    CloudflareR2Config: {**KEYS, "account_id": ACCOUNT},
    LocalConfig: {"base_path": "data"},
    MemoryConfig: {},
}
"""A valid mapping for each configuration."""

REQUIRED: dict[type[ProviderConfig], tuple[str, ...]] = {
    S3Config: ("bucket_name",),
    DigitalOceanConfig: ("bucket_name", "access_key_id", "secret_access_key"),
    WasabiConfig: ("bucket_name", "access_key_id", "secret_access_key"),
    BackblazeConfig: ("bucket_name", "key_id", "application_key"),
    CloudflareR2Config: ("bucket_name", "account_id", "access_key_id", "secret_access_key"),
}
"""The entries without a default, by the public contract."""

ENVIRONMENT: dict[type[ProviderConfig], dict[str, tuple[str, ...]]] = {
    S3Config: {
        "bucket_name": ("AWS_BUCKET_NAME",),
        "access_key_id": ("AWS_ACCESS_KEY_ID",),
        "secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
        "session_token": ("AWS_SESSION_TOKEN",),
        "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
        "profile": ("AWS_PROFILE",),
        "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    },
    DigitalOceanConfig: {
        "bucket_name": ("DO_SPACES_NAME",),
        "access_key_id": ("DO_SPACES_KEY", "SPACES_ACCESS_KEY_ID"),
        "secret_access_key": ("DO_SPACES_SECRET", "SPACES_SECRET_ACCESS_KEY"),
        "region": ("DO_SPACES_REGION",),
    },
    WasabiConfig: {
        "bucket_name": ("WASABI_BUCKET",),
        "access_key_id": ("WASABI_ACCESS_KEY", "WASABI_ACCESS_KEY_ID"),
        "secret_access_key": ("WASABI_SECRET_KEY", "WASABI_SECRET_ACCESS_KEY"),
        "region": ("WASABI_REGION",),
    },
    BackblazeConfig: {
        "bucket_name": ("BACKBLAZE_BUCKET", "B2_BUCKET_NAME"),
        "key_id": ("BACKBLAZE_KEY_ID", "B2_APPLICATION_KEY_ID"),
        "application_key": ("BACKBLAZE_APPLICATION_KEY", "B2_APPLICATION_KEY"),
        "endpoint_url": ("BACKBLAZE_ENDPOINT", "B2_ENDPOINT"),
        "region": ("B2_REGION",),
    },
    CloudflareR2Config: {
        "bucket_name": ("CLOUDFLARE_R2_BUCKET",),
        "account_id": ("CLOUDFLARE_R2_ACCOUNT_ID",),
        "access_key_id": ("CLOUDFLARE_R2_ACCESS_KEY",),
        "secret_access_key": ("CLOUDFLARE_R2_SECRET_KEY",),
        "jurisdiction": ("CLOUDFLARE_R2_JURISDICTION",),
    },
    LocalConfig: {"base_path": ("LOCAL_STORAGE_PATH",)},
    MemoryConfig: {},
}
"""The table of the public contract: for each entry its variable and aliases; the first one that is set is used."""

VALUES = {
    "bucket_name": "env-bucket",
    "account_id": ACCOUNT,
    "region": "us-west-004",
    "jurisdiction": "eu",
    "endpoint_url": "https://s3.us-west-004.backblazeb2.com",
}
"""Test values of variables that do not accept any text."""

GENERAL = (
    "addressing_style",
    "allow_http",
    "anonymous",
    "ca_bundle",
    "connect_timeout",
    "endpoint_url",
    "hedge",
    "max_attempts",
    "max_connections",
    "pool_timeout",
    "read_timeout",
    "retry_delay",
    "server",
    "total_timeout",
    "transport",
)
"""The entries of each S3-compatible provider that have a variable `BUCKETRY_…`."""

S3_FAMILY = [kind for kind in COMPLETE if issubclass(kind, S3FamilyConfig)]
ALL = pytest.mark.parametrize("kind", COMPLETE, ids=lambda kind: kind.__name__)
FAMILY = pytest.mark.parametrize("kind", S3_FAMILY, ids=lambda kind: kind.__name__)


def value_of(entry: str) -> str:
    """Give a valid value for an entry."""
    return VALUES.get(entry, f"value-of-{entry}")


def variables() -> list[Any]:
    """Give one case for each variable of the table."""
    return [
        pytest.param(kind, entry, name, id=name)
        for kind, entries in ENVIRONMENT.items()
        for entry, names in entries.items()
        for name in names
    ]


def aliased() -> list[Any]:
    """Give one case for each entry that several variables can give."""
    return [
        pytest.param(kind, entry, names, id=names[0])
        for kind, entries in ENVIRONMENT.items()
        for entry, names in entries.items()
        if len(names) > 1
    ]


def environ_for(kind: type[ProviderConfig]) -> dict[str, str]:
    """Give an environment that sets every entry by its first name."""
    return {names[0]: value_of(entry) for entry, names in ENVIRONMENT[kind].items()}


class TestMapping:
    """`of` turns a mapping into the frozen value."""

    @ALL
    def test_takes_a_mapping(self, kind: type[ProviderConfig]) -> None:
        """Every entry of the mapping becomes the attribute of that name."""
        config = kind.of(COMPLETE[kind])
        assert {name: getattr(config, name) for name in COMPLETE[kind]} == COMPLETE[kind]

    @ALL
    def test_gives_a_value_back_as_it_is(self, kind: type[ProviderConfig]) -> None:
        """A configuration value is returned unchanged."""
        config = kind.of(COMPLETE[kind])
        assert kind.of(config) is config

    @ALL
    def test_ignores_provider_type(self, kind: type[ProviderConfig]) -> None:
        """`provider_type`, the factory's entry, is ignored."""
        assert kind.of({**COMPLETE[kind], "provider_type": "x"}) == kind.of(COMPLETE[kind])

    def test_does_not_change_the_mapping(self) -> None:
        """The caller's mapping is not changed."""
        given_config = {**KEYS, "provider_type": "wasabi", "region": None}
        before = dict(given_config)
        WasabiConfig.of(given_config)
        assert given_config == before

    def test_none_means_the_default(self) -> None:
        """An optional entry that is None counts as not given."""
        assert WasabiConfig.of({**KEYS, "region": None}).region == "us-east-1"

    @pytest.mark.parametrize(
        ("kind", "entry"),
        [pytest.param(kind, entry, id=f"{kind.provider}-{entry}") for kind, r in REQUIRED.items() for entry in r],
    )
    @pytest.mark.parametrize("nothing", ["absent", None, ""])
    def test_names_a_missing_entry(self, kind: type[ProviderConfig], entry: str, nothing: str | None) -> None:
        """A required entry that is missing, None or empty is named, with its variable."""
        mapping = {**COMPLETE[kind], entry: nothing}
        if nothing == "absent":
            del mapping[entry]
        with pytest.raises(ConfigError, match=rf"^{kind.provider}: {entry}: ") as caught:
            kind.of(mapping)
        assert ENVIRONMENT[kind][entry][0] in str(caught.value)

    @ALL
    def test_needs_no_other_entry(self, kind: type[ProviderConfig]) -> None:
        """Entries that are optional by the contract are optional."""
        extra = {"region": "us-west-004"} if kind is BackblazeConfig else {}
        given_config = {name: COMPLETE[kind][name] for name in REQUIRED.get(kind, ())}
        assert isinstance(kind.of({**given_config, **extra}), kind)

    @pytest.mark.parametrize(
        ("wrong", "right"),
        [("bucket", "bucket_name"), ("secret_acces_key", "secret_access_key"), ("endpoint", "endpoint_url")],
    )
    def test_names_the_nearest_entry(self, wrong: str, right: str) -> None:
        """For an unknown entry, the error names a similar one."""
        with pytest.raises(ConfigError, match=rf"wasabi: {wrong}: .*did you mean .*'{right}'"):
            WasabiConfig.of({**KEYS, wrong: "x"})

    def test_lists_the_entries_where_none_is_near(self) -> None:
        """For an unknown entry without a similar one, the error lists the known ones."""
        with pytest.raises(ConfigError, match=r"local: zzz: .*known are base_path"):
            LocalConfig.of({"zzz": 1})

    def test_refuses_a_key_that_is_no_text(self) -> None:
        """An entry whose name is not text is refused as unknown."""
        with pytest.raises(ConfigError, match="local: 7: "):
            LocalConfig.of({7: "x"})

    @pytest.mark.parametrize("wrong", [None, 7, "s3://bucket", ["bucket"], S3Config(bucket_name="bucket")])
    def test_refuses_what_is_no_mapping(self, wrong: object) -> None:
        """Only a mapping or the provider's own configuration class is accepted."""
        with pytest.raises(ConfigError, match="wasabi: config: must be a mapping or WasabiConfig"):
            WasabiConfig.of(wrong)


class TestEntries:
    """Each entry is checked at construction, in every way of construction."""

    @pytest.mark.parametrize(
        ("kind", "entry"),
        [pytest.param(kind, entry, id=f"{kind.provider}-{entry}") for kind, r in REQUIRED.items() for entry in r],
    )
    @pytest.mark.parametrize(
        "wrong",
        [7, b"text", "", " text", "text ", "te\nxt", "text\n", "te\0xt", "te\x7fxt"],
        ids=repr,
    )
    def test_refuses_malformed_text(self, kind: type[ProviderConfig], entry: str, wrong: object) -> None:
        """A value that is not text, is empty, or has outer blanks or control characters is refused by name."""
        with pytest.raises(ConfigError, match=rf"^{kind.provider}: {entry}: "):
            kind(**{**COMPLETE[kind], entry: wrong})

    @pytest.mark.parametrize(
        ("kind", "entry"),
        [pytest.param(kind, entry, id=f"{kind.provider}-{entry}") for kind, r in REQUIRED.items() for entry in r],
    )
    def test_refuses_none_for_a_required_entry(self, kind: type[ProviderConfig], entry: str) -> None:
        """The constructor refuses None, because it would select AWS's credential chain."""
        with pytest.raises(ConfigError, match=rf"^{kind.provider}: {entry}: "):
            kind(**{**COMPLETE[kind], entry: None})

    @pytest.mark.parametrize(
        ("entry", "wrong"),
        [
            ("addressing_style", "Path"),
            ("addressing_style", None),
            ("transport", "curl"),
            ("allow_http", "yes"),
            ("allow_http", 1),
            ("ca_bundle", ""),
            ("ca_bundle", 7),
            ("ca_bundle", "a\0b"),
            ("endpoint_url", 7),
            ("endpoint_url", ""),
            ("connect_timeout", 0),
            ("connect_timeout", -1.0),
            ("connect_timeout", 3_601),
            ("connect_timeout", float("nan")),
            ("connect_timeout", float("inf")),
            ("read_timeout", "60"),
            ("read_timeout", True),
            ("max_attempts", 0),
            ("max_attempts", 101),
            ("max_attempts", 5.0),
            ("max_attempts", True),
            ("retry_delay", -0.1),
            ("retry_delay", 60.1),
            ("retry_delay", float("nan")),
            ("retry_delay", "1"),
            ("retry_delay", None),
            ("retry_delay", True),
            ("max_connections", 0),
            ("max_connections", 10_001),
            ("max_connections", "32"),
            ("hedge", "yes"),
            ("hedge", None),
        ],
    )
    @FAMILY
    def test_refuses_a_malformed_option(self, kind: type[S3FamilyConfig], entry: str, wrong: object) -> None:
        """The options that all S3-compatible providers share are checked for type and range."""
        with pytest.raises(ConfigError, match=rf"^{kind.provider}: {entry}: "):
            kind(**{**COMPLETE[kind], entry: wrong})

    @pytest.mark.parametrize(
        ("entry", "right"),
        [
            ("addressing_style", "virtual"),
            ("transport", "aiobotocore"),
            ("allow_http", True),
            ("ca_bundle", "/etc/ca.pem"),
            ("ca_bundle", Path("/etc/ca.pem")),
            ("connect_timeout", 1),
            ("read_timeout", 3_600.0),
            ("max_attempts", 1),
            ("retry_delay", 0),
            ("retry_delay", 60.0),
            ("max_connections", 10_000),
            ("hedge", True),
        ],
    )
    @FAMILY
    def test_takes_an_option(self, kind: type[S3FamilyConfig], entry: str, right: object) -> None:
        """Values at the ends of each range are taken as they are."""
        assert getattr(kind(**{**COMPLETE[kind], entry: right}), entry) == right

    @FAMILY
    def test_anonymous_needs_no_credentials(self, kind: type[S3FamilyConfig]) -> None:
        """`anonymous` needs no credentials, and both together are refused by name."""
        rest = {name: value for name, value in COMPLETE[kind].items() if name not in kind.credentials}
        config = kind.of({**rest, "anonymous": True})
        assert (config.access_key, config.secret_key) == (None, None)
        with pytest.raises(ConfigError, match=rf"^{kind.provider}: anonymous: (access_key_id|key_id) is given too"):
            kind.of({**COMPLETE[kind], "anonymous": True})

    @FAMILY
    def test_server_is_one_of_three_words(self, kind: type[S3FamilyConfig]) -> None:
        """Every provider has the entry `server` with three values."""
        for server in ("auto", "aws", "generic"):
            assert kind.of({**COMPLETE[kind], "server": server}).server == server
        with pytest.raises(ConfigError, match=rf"^{kind.provider}: server: 'azure' is unknown"):
            kind.of({**COMPLETE[kind], "server": "azure"})

    @pytest.mark.parametrize(
        "url", [f"https://user:{SECRET}@host", f"https://h/?X-Amz-Signature={SECRET}", f"https://h/#{SECRET}"]
    )
    @FAMILY
    def test_refuses_an_endpoint_with_secrets(self, kind: type[S3FamilyConfig], url: str) -> None:
        """An endpoint with user info, a query or a fragment is refused before it could be printed."""
        with pytest.raises(ConfigError, match="endpoint_url") as caught:
            kind(**{**COMPLETE[kind], "endpoint_url": url})
        assert SECRET not in str(caught.value)


class TestS3:
    """Entries of AWS."""

    def test_needs_no_credentials(self) -> None:
        """Without keys the credential chain is used, so both halves are None."""
        config = S3Config(bucket_name="my-bucket")
        assert (config.access_key, config.secret_key, config.region) == (None, None, "us-east-1")

    @pytest.mark.parametrize(
        ("given_half", "missing"),
        [("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")],
    )
    def test_refuses_half_a_pair(self, given_half: str, missing: str) -> None:
        """For half of the credentials, the error names the other half."""
        with pytest.raises(ConfigError, match=f"s3: {missing}: is missing"):
            S3Config.of({"bucket_name": "my-bucket", given_half: SECRET})

    def test_refuses_a_token_alone(self) -> None:
        """A session token without its keys is refused."""
        with pytest.raises(ConfigError, match="s3: session_token: "):
            S3Config(bucket_name="my-bucket", session_token=TOKEN)

    def test_refuses_an_unknown_server(self) -> None:
        """An unknown value of `server` is refused."""
        with pytest.raises(ConfigError, match="s3: server: 'genric' is unknown; did you mean 'generic'"):
            S3Config(bucket_name="my-bucket", server="genric")

    def test_refuses_no_region(self) -> None:
        """None as the region is refused."""
        with pytest.raises(ConfigError, match="s3: region: "):
            S3Config(bucket_name="my-bucket", region=None)


class TestBackblaze:
    """Entries of B2."""

    def test_needs_a_place(self) -> None:
        """Without endpoint and region, the configuration is refused."""
        with pytest.raises(ConfigError, match="backblaze: endpoint_url: is missing"):
            BackblazeConfig.of(B2_KEYS)

    @pytest.mark.parametrize("entry", ["endpoint_url", "region"])
    def test_takes_either_entry(self, entry: str) -> None:
        """An endpoint or a region is enough."""
        assert getattr(BackblazeConfig.of({**B2_KEYS, entry: value_of(entry)}), entry) == value_of(entry)

    def test_gives_its_keys_by_the_names_of_s3(self) -> None:
        """The key id is the access key, the application key the secret one."""
        config = BackblazeConfig.of({**B2_KEYS, "region": "us-west-004"})
        assert (config.access_key, config.secret_key) == (ACCESS, SECRET)


class TestCloudflare:
    """Entries of R2."""

    @pytest.mark.parametrize(
        "account",
        [
            ACCOUNT[:-1],
            ACCOUNT + "0",
            "g" * 32,
            "x.evil.com/".ljust(32, "a"),
            ACCOUNT[:-1] + "/",
            "\u0660" * 32,
            ACCOUNT[:-1] + "\n",
        ],
    )
    def test_refuses_a_malformed_account(self, account: str) -> None:
        """An account id other than 32 hexadecimal digits is refused."""
        with pytest.raises(ConfigError, match="cloudflare_r2: account_id: "):
            CloudflareR2Config.of({**KEYS, "account_id": account})

    def test_takes_capital_digits(self) -> None:
        """The account id may be written in capitals."""
        assert CloudflareR2Config.of({**KEYS, "account_id": ACCOUNT.upper()}).account_id == ACCOUNT.upper()

    @pytest.mark.parametrize("jurisdiction", ["EU", "us", "eu.evil.com", ".eu"])
    def test_refuses_an_unknown_jurisdiction(self, jurisdiction: str) -> None:
        """A jurisdiction other than the two known ones is refused."""
        with pytest.raises(ConfigError, match="cloudflare_r2: jurisdiction: "):
            CloudflareR2Config.of({**KEYS, "account_id": ACCOUNT, "jurisdiction": jurisdiction})


class TestLocal:
    """The entry of the local disk."""

    @pytest.mark.parametrize("path", ["data", Path("data")])
    def test_takes_a_path(self, path: str | Path) -> None:
        """Text and path objects are accepted unchanged."""
        assert LocalConfig(base_path=path).base_path == path

    @pytest.mark.parametrize("path", ["", None, 7, b"data", "a\0b"])
    def test_refuses_what_is_no_path(self, path: object) -> None:
        """An empty path, a value that is not a path, or one that no system can open, is refused."""
        with pytest.raises(ConfigError, match="local: base_path: "):
            LocalConfig(base_path=path)

    def test_has_a_default(self) -> None:
        """Without an entry the store is `data/storage` below the working directory."""
        assert LocalConfig.of({}).base_path == "data/storage"


class TestEnvironment:
    """`from_environment` reads variables from the given mapping."""

    @pytest.mark.parametrize(("kind", "entry", "name"), variables())
    def test_reads_each_variable(self, kind: type[ProviderConfig], entry: str, name: str) -> None:
        """Every name and alias of the public table gives its entry."""
        environ = environ_for(kind)
        del environ[ENVIRONMENT[kind][entry][0]]
        environ[name] = value_of(entry)
        assert getattr(kind.from_environment(environ), entry) == value_of(entry)

    @pytest.mark.parametrize(("kind", "entry", "names"), aliased())
    def test_first_name_wins(self, kind: type[ProviderConfig], entry: str, names: tuple[str, ...]) -> None:
        """If a name and its alias are both set, the name is used."""
        environ = {**environ_for(kind), **dict.fromkeys(names[1:], "eu-other-1"), names[0]: value_of(entry)}
        assert getattr(kind.from_environment(environ), entry) == value_of(entry)

    @pytest.mark.parametrize(("kind", "entry", "names"), aliased())
    def test_empty_name_gives_way(self, kind: type[ProviderConfig], entry: str, names: tuple[str, ...]) -> None:
        """An empty variable counts as not set, so its alias is read."""
        environ = {**environ_for(kind), names[0]: "", names[1]: value_of(entry)}
        assert getattr(kind.from_environment(environ), entry) == value_of(entry)

    @ALL
    def test_empty_optional_variables_give_defaults(self, kind: type[ProviderConfig]) -> None:
        """Empty variables of optional entries leave the defaults."""
        needed = {*REQUIRED.get(kind, ()), *(("region",) if kind is BackblazeConfig else ())}
        environ = {
            name: value_of(entry) if entry in needed else ""
            for entry, names in ENVIRONMENT[kind].items()
            for name in names
        }
        config = kind.from_environment(environ)
        for entry in dataclasses.fields(kind):
            if entry.name not in needed:
                assert getattr(config, entry.name) == entry.default

    @pytest.mark.parametrize(
        ("kind", "entry"),
        [pytest.param(kind, entry, id=f"{kind.provider}-{entry}") for kind, r in REQUIRED.items() for entry in r],
    )
    def test_names_the_variables_of_a_missing_entry(self, kind: type[ProviderConfig], entry: str) -> None:
        """The error for a missing entry names every variable that could give it."""
        environ = environ_for(kind)
        environ[ENVIRONMENT[kind][entry][0]] = ""
        with pytest.raises(ConfigError, match=rf"{kind.provider}: {entry}: required") as caught:
            kind.from_environment(environ)
        assert all(name in str(caught.value) for name in ENVIRONMENT[kind][entry])

    @FAMILY
    def test_general_variables(self, kind: type[S3FamilyConfig]) -> None:
        """Each entry without a vendor's variable has one of ours, and so have `endpoint_url` and `region`."""
        ours = {name for name, variables in kind.variables().items() if f"BUCKETRY_{name.upper()}" in variables}
        assert ours >= {*GENERAL, *(("region",) if hasattr(kind, "region") else ())}
        assert not ours & {"bucket_name", "profile", *kind.credentials}

    @pytest.mark.parametrize(
        ("variable", "text", "value"),
        [
            ("BUCKETRY_ENDPOINT_URL", "https://minio.example", "https://minio.example"),
            ("BUCKETRY_REGION", "garage", "garage"),
            ("BUCKETRY_ADDRESSING_STYLE", "virtual", "virtual"),
            ("BUCKETRY_SERVER", "aws", "aws"),
            ("BUCKETRY_CA_BUNDLE", "/ca.pem", "/ca.pem"),
            ("BUCKETRY_ALLOW_HTTP", "1", True),
            ("BUCKETRY_ALLOW_HTTP", "Yes", True),
            ("BUCKETRY_ALLOW_HTTP", "off", False),
            ("BUCKETRY_ANONYMOUS", "true", True),
            ("BUCKETRY_TRANSPORT", "aiobotocore", "aiobotocore"),
            ("BUCKETRY_CONNECT_TIMEOUT", "2.5", 2.5),
            ("BUCKETRY_READ_TIMEOUT", "5", 5.0),
            ("BUCKETRY_MAX_ATTEMPTS", "3", 3),
            ("BUCKETRY_MAX_CONNECTIONS", "7", 7),
        ],
    )
    def test_reads_a_general_variable(self, variable: str, text: str, value: object) -> None:
        """The text of a variable is converted to its entry's type."""
        config = S3Config.from_environment({"AWS_BUCKET_NAME": "bucket", variable: text})
        found = getattr(config, variable.removeprefix("BUCKETRY_").lower())
        assert (found, type(found)) == (value, type(value))

    @pytest.mark.parametrize(
        ("variable", "text"),
        [
            ("BUCKETRY_ALLOW_HTTP", "maybe"),
            ("BUCKETRY_READ_TIMEOUT", "soon"),
            ("BUCKETRY_MAX_ATTEMPTS", "2.5"),
            ("BUCKETRY_MAX_CONNECTIONS", "many"),
        ],
    )
    def test_names_a_variable_of_the_wrong_kind(self, variable: str, text: str) -> None:
        """If a text is not valid for the entry, the error names the variable."""
        with pytest.raises(ConfigError, match=f"^s3: {variable}: '{text}' is "):
            S3Config.from_environment({"AWS_BUCKET_NAME": "bucket", variable: text})

    def test_the_vendors_variable_wins(self) -> None:
        """If the vendor's variable and ours are both set, the vendor's is used."""
        environ = {"AWS_BUCKET_NAME": "b", "AWS_ENDPOINT_URL": "https://one", "BUCKETRY_ENDPOINT_URL": "https://two"}
        assert S3Config.from_environment(environ).endpoint_url == "https://one"

    @ALL
    def test_table_is_complete(self, kind: type[ProviderConfig]) -> None:
        """The code reads the variables of the public table and no others."""
        assert {entry: tuple(names) for entry, names in kind.environment.items()} == ENVIRONMENT[kind]

    def test_reads_only_what_it_is_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The process's environment is not read."""
        monkeypatch.setenv("AWS_BUCKET_NAME", "from-the-process")
        with pytest.raises(ConfigError, match="bucket_name"):
            S3Config.from_environment({})

    def test_ignores_other_variables(self) -> None:
        """Variables of other programs are ignored."""
        environ = {**environ_for(WasabiConfig), "WASABI_HOME": "/x", "AWS_REGION": "eu-west-1"}
        assert WasabiConfig.from_environment(environ).region == VALUES["region"]


class TestValues:
    """Configurations are values: frozen, equal by content, copied, pickled, printed without secrets."""

    @ALL
    def test_hides_secrets(self, kind: type[ProviderConfig]) -> None:
        """No `repr` or `str` contains a credential, also not the `repr` of a container."""
        config = kind.of(COMPLETE[kind])
        shown = f"{config!r} {config} {[config]!r}"
        assert not any(secret in shown for secret in (ACCESS, SECRET, TOKEN))

    @pytest.mark.parametrize("kind", S3_FAMILY, ids=lambda kind: kind.__name__)
    def test_errors_hide_secrets(self, kind: type[S3FamilyConfig]) -> None:
        """The error about a malformed secret does not show it."""
        for entry in set(COMPLETE[kind]) & {"secret_access_key", "application_key", "session_token"}:
            with pytest.raises(ConfigError) as caught:
                kind.of({**COMPLETE[kind], entry: f"{SECRET}\n"})
            assert SECRET not in str(caught.value)

    @ALL
    def test_pickles(self, kind: type[ProviderConfig]) -> None:
        """A pickled configuration keeps all entries."""
        config = kind.of(COMPLETE[kind])
        again = pickle.loads(pickle.dumps(config))
        assert again == config
        assert dataclasses.asdict(again) == dataclasses.asdict(config)

    @ALL
    def test_equal_by_content(self, kind: type[ProviderConfig]) -> None:
        """Two configurations with the same entries are the same key of a dictionary."""
        one, other = kind.of(COMPLETE[kind]), kind.of(dict(COMPLETE[kind]))
        assert one == other
        assert hash(one) == hash(other)
        assert copy.deepcopy(one) == one

    def test_secrets_count_in_equality(self) -> None:
        """Configurations with different secrets are different."""
        assert WasabiConfig.of(KEYS) != WasabiConfig.of({**KEYS, "secret_access_key": "other"})

    def test_providers_differ(self) -> None:
        """Configurations of two providers are never equal."""
        assert WasabiConfig.of(KEYS) != DigitalOceanConfig.of({**KEYS, "region": "us-east-1"})

    @ALL
    def test_is_frozen(self, kind: type[ProviderConfig]) -> None:
        """Neither an entry nor a new attribute can be set."""
        config = kind.of(COMPLETE[kind])
        for name in ("anything", *COMPLETE[kind]):
            with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
                setattr(config, name, "x")

    def test_replace_checks_again(self) -> None:
        """`replace` makes a new value with the same checks."""
        config = WasabiConfig.of(KEYS)
        assert dataclasses.replace(config, region="eu-west-1").region == "eu-west-1"
        with pytest.raises(ConfigError, match="max_attempts"):
            dataclasses.replace(config, max_attempts=0)

    @given(secret=st.text(min_size=1))
    def test_any_secret_is_hidden_or_refused(self, secret: str) -> None:
        """Every secret is stored unchanged and not printed, or refused."""
        bare = repr(WasabiConfig.of(KEYS))
        try:
            config = WasabiConfig.of({**KEYS, "secret_access_key": secret, "access_key_id": secret})
        except ConfigError:
            return
        assert config.secret_key == secret
        assert repr(config) == bare


class TestTransferConfig:
    """The configuration of transfers: numbers within limits that fit together."""

    def test_defaults(self) -> None:
        """The defaults are valid, and the vendor's row decides on parts."""
        config = TransferConfig()
        assert (config.part_size, config.multipart_threshold, config.verify) == (None, None, True)

    @pytest.mark.parametrize(
        ("entry", "low", "high"),
        [
            ("part_size", KiB, 5 * GiB),
            ("multipart_threshold", 0, 2**63),
            ("max_concurrency", 1, 1_000),
            ("memory_budget", KiB, 2**63),
            ("max_bandwidth", KiB, 2**63),
            ("max_attempts", 1, 100),
            ("retry_delay", 0, 60.0),
        ],
    )
    def test_takes_the_ends_of_a_range(self, entry: str, low: int, high: int) -> None:
        """The smallest and the largest value are allowed."""
        room = {} if entry == "memory_budget" else {"memory_budget": 5 * GiB}
        for value in (low, high):
            assert getattr(TransferConfig(**{**room, entry: value}), entry) == value

    @pytest.mark.parametrize(
        ("entry", "wrong"),
        [
            ("part_size", KiB - 1),
            ("part_size", 5 * GiB + 1),
            ("part_size", 8.0 * MiB),
            ("multipart_threshold", -1),
            ("max_concurrency", 0),
            ("max_concurrency", 1_001),
            ("max_concurrency", True),
            ("max_concurrency", None),
            ("memory_budget", KiB - 1),
            ("memory_budget", None),
            ("max_bandwidth", KiB - 1),
            ("max_attempts", 0),
            ("max_attempts", "5"),
            ("retry_delay", -1),
            ("retry_delay", 61),
            ("retry_delay", "0"),
            ("verify", "no"),
            ("verify", None),
            ("fsync", 1),
            ("resume", 0),
        ],
    )
    def test_refuses_what_is_out_of_range(self, entry: str, wrong: object) -> None:
        """A value of the wrong type or size is refused by name."""
        with pytest.raises(ConfigError, match=f"^TransferConfig: {entry}: "):
            TransferConfig(**{entry: wrong})

    def test_refuses_parts_beyond_the_budget(self) -> None:
        """A part larger than the memory budget is refused."""
        with pytest.raises(ConfigError, match="part_size: 16777216 is more than memory_budget 8388608"):
            TransferConfig(part_size=16 * MiB, memory_budget=8 * MiB)

    def test_refuses_resume(self) -> None:
        """`resume`, which this version does not support, is refused instead of ignored."""
        with pytest.raises(ConfigError, match="resume"):
            TransferConfig(resume=True)

    @given(
        st.builds(
            TransferConfig,
            part_size=st.none() | st.integers(KiB, 256 * MiB),
            multipart_threshold=st.none() | st.integers(0, 2**50),
            max_concurrency=st.integers(1, 1_000),
            max_bandwidth=st.none() | st.integers(KiB, 2**50),
        )
    )
    def test_pickles(self, config: TransferConfig) -> None:
        """Every valid value survives pickling and compares equal."""
        again = pickle.loads(pickle.dumps(config))
        assert again == config
        assert hash(again) == hash(config)


class TestNearest:
    """The end of an error message about an unknown word."""

    def test_suggests(self) -> None:
        """A similar word is suggested."""
        assert nearest("wasbi", ("wasabi", "local")) == "did you mean 'wasabi'?"

    def test_lists(self) -> None:
        """Without a similar word, all words are listed."""
        assert nearest("zzz", ("wasabi", "local")) == "known are wasabi, local"

    @given(st.text(), st.lists(st.text(min_size=1), min_size=1).map(tuple))
    def test_any_word_has_an_answer(self, word: str, known: tuple[str, ...]) -> None:
        """For every word, the result names a known word."""
        assert any(name in nearest(word, known) or repr(name) in nearest(word, known) for name in known)

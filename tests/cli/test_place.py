"""The choice of the provider: options, the environment, and `.env` files."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Shell

pytestmark = pytest.mark.slow  # each test starts processes


def test_which_provider_is_chosen(bucketry: Shell) -> None:
    """--url and --provider replace STORAGE_PROVIDER and must agree; without all three the local disk is used."""
    bucketry.environ["STORAGE_PROVIDER"] = "wasabi"
    assert bucketry("info", "--json").code == 2
    assert bucketry("info", "--json", "--provider", "memory").document["provider"] == "memory"
    url = f"file://{bucketry.directory}/elsewhere"
    ran = bucketry("info", "--json", "--url", url)
    assert (ran.document["provider"], ran.document["place"]) == ("local", url)
    assert bucketry("info", "--json", "--provider", "local", "--url", url).document["place"] == url
    ran = bucketry("info", "--provider", "memory", "--url", url)
    assert (ran.code, ran.err) == (
        2,
        "error: info: --provider memory is not the provider of --url; leave one of them out\n",
    )
    bucketry.environ["STORAGE_PROVIDER"] = ""
    assert bucketry("info", "--json").document["place"] == f"file://{bucketry.store}"


def test_a_url_with_a_prefix_hides_it(bucketry: Shell) -> None:
    """With a prefix in the URL, keys are relative to it."""
    bucketry.write("elsewhere/k", b"x")
    ran = bucketry("list", "--json", "--url", f"file://{bucketry.directory}/elsewhere")
    assert [entry["key"] for entry in ran.lines] == ["k"]


def test_an_env_file_configures_and_the_environment_wins(bucketry: Shell) -> None:
    """The variables of --env-file are used if the environment does not have them."""
    bucketry.write("my.env", b"# where\nSTORAGE_PROVIDER=local\nLOCAL_STORAGE_PATH='from file'\nexport UNUSED\n")
    assert bucketry("info", "--json", "--env-file", "my.env").document["place"].endswith("/from file")
    bucketry.environ["LOCAL_STORAGE_PATH"] = "real"
    assert bucketry("info", "--json", "--env-file", "my.env").document["place"].endswith("/real")


def test_an_env_file_reaches_providers_made_from_a_url(bucketry: Shell) -> None:
    """Entries that the URL does not have come from --env-file."""
    bucketry.write("my.env", b"WASABI_ACCESS_KEY=id\nWASABI_SECRET_KEY=secret\n")
    ran = bucketry("info", "--url", "wasabi://bucket/prefix", "--env-file", "my.env", "--json", "--no-count")
    assert (ran.document["provider"], ran.document["place"]) == ("wasabi", "wasabi://bucket/prefix/")


def test_an_env_file_that_cannot_be_used(bucketry: Shell) -> None:
    """A file that is not text, or a missing python-dotenv, is a configuration error that says so."""
    bucketry.write("bad.env", b"\xff\xfe")
    assert bucketry("list", "--env-file", "bad.env").code == 2
    bucketry.write("my.env", b"A=1")
    ran = bucketry.scripted("import sys\nsys.modules['dotenv'] = None")("list", "--env-file", "my.env")
    assert ran.code == 2
    assert 'pip install "bucketry[cli]"' in ran.err


def test_credentials_are_never_printed(bucketry: Shell) -> None:
    """Info and errors with tracebacks show no secret."""
    bucketry.environ |= {"WASABI_BUCKET": "b", "WASABI_ACCESS_KEY": "AKID", "WASABI_SECRET_KEY": "s3cr3t"}
    for words in (("info",), ("info", "--json"), ("info", "", "--debug")):
        ran = bucketry(*words, "--provider", "wasabi")
        assert "s3cr3t" not in ran.text + ran.err
        assert "AKID" not in ran.text + ran.err


def test_options_of_a_cloud_need_one(bucketry: Shell) -> None:
    """Without a provider the local directory is used, which has no region: the error says how to name a provider."""
    bucketry.environ["STORAGE_PROVIDER"] = ""
    ran = bucketry("list", "--region", "eu-west-1")
    assert ran.code == 2
    assert "--region is for a store in a cloud" in ran.err
    assert "--url s3://BUCKET" in ran.err


def test_a_cloud_that_is_set_up_and_not_named(bucketry: Shell) -> None:
    """If an endpoint is set but no provider, a warning says that the local directory is used."""
    bucketry.environ["STORAGE_PROVIDER"] = ""
    bucketry.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9000"
    ran = bucketry("list")
    assert ran.code == 0
    assert "warning: AWS_ENDPOINT_URL is set, but no provider is named, so the local directory is used" in ran.err
    ran = bucketry("list", "--provider", "local")
    assert "warning" not in ran.err


def test_a_url_as_an_argument_names_its_provider(bucketry: Shell) -> None:
    """A URL that is an argument contradicts an option that names a provider."""
    for option in (("--url", "s3://bucket"), ("--provider", "s3")):
        ran = bucketry("cat", "s3://bucket/k", *option)
        assert (ran.code, ran.out) == (2, b"")
        assert f"leave out {option[0]}" in ran.err

"""The supported versions of aiobotocore, and the error for another version."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from bucketry import S3Provider
from bucketry._session.versions import SUPPORTED
from bucketry.testing import EmbeddedS3

INSTALLED = tuple(f"{name} {metadata.version(name)}" for name in ("aiobotocore", "botocore"))


def test_the_range_is_that_of_the_installation() -> None:
    """Errors name the same range of versions as the package's requirements."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    assert SUPPORTED in project["project"]["dependencies"]


def said(server: EmbeddedS3, call: str, *, config: dict[str, str | None] | None = None, before: str = "") -> str:
    """Make a call in a new interpreter after a change to aiobotocore; give its error."""
    script = """
        import asyncio, json, sys
        from bucketry import S3Provider
        from bucketry.errors import UnsupportedError
        async def main():
            provider = S3Provider(json.loads(sys.argv[1]))
            try:
                await {call}
            except UnsupportedError as error:
                print(error)
            await provider.disconnect()
        {before}
        asyncio.run(main())
    """
    code = textwrap.dedent(script).format(call=call, before=before)
    command = [sys.executable, "-W", "error", "-c", code, json.dumps(server.config | (config or {}))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


CHAIN = {"access_key_id": None, "secret_access_key": None}
BOTO = {"transport": "aiobotocore"}
CALLS = pytest.mark.parametrize(
    ("call", "config"),
    [
        ("provider.copy('k', 'copy')", BOTO),
        ("provider.get('k')", BOTO),
        ("provider.get('k')", CHAIN),
    ],
    ids=["copy", "aiobotocore", "chain"],
)


@pytest.mark.slow
@CALLS
def test_another_package_of_that_name(
    server: EmbeddedS3, tmp_path: Path, call: str, config: dict[str, str | None] | None
) -> None:
    """If a module of aiobotocore is missing, the error names the installed and the needed versions."""
    asyncio.run(S3Provider(server.config).put("k", b"1"))
    (tmp_path / "aiobotocore").mkdir()
    (tmp_path / "aiobotocore" / "__init__.py").touch()
    error = said(server, call, config=config, before=f"sys.path.insert(0, {str(tmp_path)!r})")
    assert all(words in error for words in ("ModuleNotFoundError", "aiobotocore.", SUPPORTED, *INSTALLED)), error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "kind"),
    [
        ("import botocore.exceptions as module; del module.ProfileNotFound", "AttributeError"),
        ("import botocore.handlers as module; del module.add_expect_header", "ImportError"),
        ("import aiobotocore.config as module; module.AioConfig = lambda: None", "TypeError"),
        ("import aiobotocore.httpsession as module; del module.AIOHTTPSession._get_session", "AttributeError"),
    ],
    ids=["exception", "handler", "argument", "hook"],
)
def test_something_is_missing(server: EmbeddedS3, before: str, kind: str) -> None:
    """The same if a name or an argument is missing: at import, when a client is made, and in a request."""
    error = said(server, "provider.get('k')", config=BOTO, before=before)
    assert all(words in error for words in (kind, SUPPORTED, *INSTALLED)), error

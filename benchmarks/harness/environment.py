"""The environment of a measurement: the machine, and the versions of all programs."""

from __future__ import annotations

import json
import os
import platform
import shutil
import ssl
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.harness.nginx import nginx_path
from benchmarks.harness.rclone import rclone_path

_PACKAGES = (
    "bucketry",
    "aiobotocore",
    "aiohttp",
    "botocore",
    "obstore",
    "s3fs",
    "boto3",
    "s3transfer",
    "httptools",
    "awscrt",
    "isal",
)
_SECOND = ("aioboto3", "aiobotocore")


def environment(pythons: dict[str, str], server: str) -> dict[str, Any]:
    """Give machine, versions and bucketry's row of facts, for the results file."""
    versions = {name: found for name in _PACKAGES if (found := _version(name))}
    if "aioboto3" in pythons:
        versions["aioboto3"] = _versions_in(pythons["aioboto3"])
    versions["bucketry"] = f"{versions.get('bucketry', '')} {_commit()}".strip()
    versions["nginx"] = _first_line(nginx_path(), "-v").rpartition("/")[2]
    versions["rclone"] = _first_line(rclone_path(), "version").rpartition(" ")[2]
    return {
        "machine": {
            "cpu": _processor(),
            "cores": os.cpu_count() or 0,
            "memory_GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": f"{platform.system()} {platform.release()}",
        },
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "openssl": ssl.OPENSSL_VERSION,
        "server": server,
        "versions": versions,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _versions_in(python: str) -> str:
    """Give the versions of aioboto3 and aiobotocore in another interpreter's environment."""
    code = f"import json\nfrom importlib.metadata import version\nprint(json.dumps([version(n) for n in {_SECOND!r}]))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    main, below = json.loads(done.stdout)
    return f"{main} (aiobotocore {below})"


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).splitlines()[0]


def _commit() -> str:
    """Give the commit, with a mark if files differ from it; `""`: not in a repository."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "describe", "--always", "--dirty", "--exclude=*"]
    unlocked = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}  # another process may be committing
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent, env=unlocked)
    return f"({done.stdout.strip()})" if done.returncode == 0 else ""


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()

"""The environment variables for connections. A pool gets them at construction, and only this module reads them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import field
from importlib import import_module
from typing import Any

from bucketry._core.frozen import dataclass

_READ = frozenset({"AWS_CA_BUNDLE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "REQUEST_METHOD"})


_SYSTEMS_WITH_SETTINGS = ("darwin", "win32")  # Python reads proxies from their settings, too


@dataclass(frozen=True, slots=True)
class Environment:
    """Environment variables of this process, or a mapping from the user.

    For configuration files, the profile and the credential chain, botocore always reads the process's environment.

    Attributes:
        variables: The values by name.
        of_process: Whether the variables are those of this process; if so, the system's proxy settings are used, too.
    """

    variables: Mapping[str, str] = field(repr=False)  # may contain secrets
    of_process: bool

    @property
    def read(self) -> dict[str, str]:
        """The subset of `variables` that this class uses."""
        return {name: value for name, value in self.variables.items() if _is_read(name)}

    @property
    def ca_bundle(self) -> str | None:
        """Path of the file with the certificate authorities that AWS's tools trust; `None`: not set."""
        return self.variables.get("AWS_CA_BUNDLE") or None

    @property
    def fips(self) -> bool | None:
        """Whether to use AWS's FIPS endpoints; `None`: the configuration file decides."""
        return self._is_true("AWS_USE_FIPS_ENDPOINT")

    @property
    def dualstack(self) -> bool | None:
        """Whether to use AWS's endpoints for IPv6 and IPv4; `None`: the configuration file decides."""
        return self._is_true("AWS_USE_DUALSTACK_ENDPOINT")

    @property
    def may_name_proxy(self) -> bool:
        """Whether `proxy` may return a proxy; if not, nothing needs to be read. Never blocks."""
        if self.of_process and sys.platform in _SYSTEMS_WITH_SETTINGS:
            return True
        return any(name.lower().endswith("_proxy") for name in self.variables)

    def proxies(self) -> dict[str, str]:
        """Return the proxy of each scheme, and the hosts without a proxy under the key `no`.

        It can block, because it may read system settings. As in `urllib.request`, a variable in lower case wins over
        the same one in upper case, and an empty variable removes the proxy.
        """
        if self.of_process:
            of_system: dict[str, str] = _urllib().getproxies()
            return of_system
        named = [(name, value) for name, value in self.variables.items() if name.lower().endswith("_proxy")]
        found = {name[: -len("_proxy")].lower(): value for name, value in named if name != name.lower()}
        if "REQUEST_METHOD" in self.variables:  # in a CGI script, HTTP_PROXY may come from a request's header
            found.pop("http", None)
        found |= {name[: -len("_proxy")]: value for name, value in named if name == name.lower()}
        return {scheme: value for scheme, value in found.items() if value}

    def proxy(self, scheme: str, host: str) -> str | None:
        """Return the proxy for a host; `None`: there is none. It can block, because it may read system settings."""
        found = self.proxies()
        urllib = _urllib()
        excepted = urllib.proxy_bypass(host) if self.of_process else urllib.proxy_bypass_environment(host, found)
        return None if excepted else found.get(scheme)

    def _is_true(self, name: str) -> bool | None:
        return value.lower() == "true" if (value := self.variables.get(name)) else None


def _urllib() -> Any:  # noqa: ANN401 - a module, and one function is not in the stubs
    """Return `urllib.request`; it takes 15 ms to load, and is only needed if there may be a proxy."""
    return import_module("urllib.request")


def _is_read(name: str) -> bool:
    return name in _READ or name.lower().endswith("_proxy")

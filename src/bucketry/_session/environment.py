"""The variables that connections depend on: handed in where a pool is made, and read nowhere else."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables, and whose they are.

    botocore reads the process's environment, whatever is given here, for which files and which profile there are, and
    for the credential chain.

    Attributes:
        variables: By name.
        of_process: They are those of this process; then the proxies that the system is set to count as well.
    """

    variables: Mapping[str, str] = field(repr=False)  # secrets may be among them
    of_process: bool

    @property
    def ca_bundle(self) -> str | None:
        """Path of the certificate authorities that AWS's tools trust; `None`: not set."""
        return self.variables.get("AWS_CA_BUNDLE") or None

    @property
    def fips(self) -> bool | None:
        """Whether AWS is to be reached at its endpoints for FIPS; `None`: the configuration file says it."""
        return self._is_true("AWS_USE_FIPS_ENDPOINT")

    @property
    def dualstack(self) -> bool | None:
        """Whether AWS is to be reached at its endpoints for IPv6 and IPv4; `None`: the configuration file says it."""
        return self._is_true("AWS_USE_DUALSTACK_ENDPOINT")

    def proxies(self) -> dict[str, str]:
        """Give the proxy of each scheme, and what is excepted from them under `no`; blocks where it asks the system.

        Names in lower case count before others, and an empty one takes the proxy away, as in `urllib.request`.
        """
        if self.of_process:
            return urllib.request.getproxies()
        named = [(name, value) for name, value in self.variables.items() if name.lower().endswith("_proxy")]
        found = {name[: -len("_proxy")].lower(): value for name, value in named if name != name.lower()}
        if "REQUEST_METHOD" in self.variables:  # a web server's script: HTTP_PROXY is a header of the request then
            found.pop("http", None)
        found |= {name[: -len("_proxy")]: value for name, value in named if name == name.lower()}
        return {scheme: value for scheme, value in found.items() if value}

    def proxy(self, scheme: str, host: str) -> str | None:
        """Give the proxy on the way to a host; `None`: there is none. Blocks where it asks the system."""
        found = self.proxies()
        if self.of_process:
            excepted = urllib.request.proxy_bypass(host)
        else:
            excepted = urllib.request.proxy_bypass_environment(host, found)  # type: ignore[attr-defined]  # not in the stubs
        return None if excepted else found.get(scheme)

    def _is_true(self, name: str) -> bool | None:
        return value.lower() == "true" if (value := self.variables.get(name)) else None

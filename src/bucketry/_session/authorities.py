"""The certificate authorities to trust, and the setting that names them."""

from __future__ import annotations

import ssl

from bucketry._core.frozen import dataclass
from bucketry._session.endpoint import Endpoint
from bucketry._session.environment import Environment
from bucketry._wire.connect import tls_context
from bucketry._wire.errors import WireError


@dataclass(frozen=True, slots=True)
class Authorities:
    """The file with the certificate authorities to trust.

    Attributes:
        path: The file's path; `None`: the system's authorities.
        set_by: The setting that names the file, for messages.
    """

    path: str | None
    set_by: str

    def context(self) -> ssl.SSLContext:
        """Return a TLS context that trusts these authorities. Blocks.

        Raises:
            WireError: The file cannot be read.
        """
        try:
            return tls_context(self.path)
        except WireError as exc:
            raise WireError(exc.kind, f"{exc.problem} (set by {self.set_by})") from exc


def authorities(
    endpoint: Endpoint, environment: Environment, profile: str | None = None, configured: str | None = None
) -> Authorities:
    """Return the authorities for an endpoint: from the provider's setting, else AWS's variable, else AWS's profile.

    Args:
        endpoint: The endpoint; its `ca_bundle` is the provider's setting.
        environment: The environment, for the variable `AWS_CA_BUNDLE`.
        profile: A profile of AWS's configuration file.
        configured: The `ca_bundle` of that profile.
    """
    if endpoint.ca_bundle is not None:
        return Authorities(endpoint.ca_bundle, "the provider's ca_bundle")
    if environment.ca_bundle is not None:
        return Authorities(environment.ca_bundle, "the variable AWS_CA_BUNDLE")
    return Authorities(configured, f"ca_bundle of the profile {profile or 'default'!r} in AWS's configuration file")

"""All keys of a model, so that their names are in one place only.

Below `<models root>/<model>/`:

- `versions/<version>.json`: the manifest of a version. The version exists if, and only if, this object does.
- `blobs/<sha256>`: the bytes of a file, named by their SHA-256, so that equal files are stored once. If a prune is
  removing the blob with this name, `-<random id>` is added to the name of the new blob.
- `tags/<tag>.json`: the version that a tag names; `latest` is one of the tags.
- `leases/<backup id>.json`: the lease of a backup under way: the files that the backup needs.
- `prunes/<prune id>.json`: the record of a prune under way: the versions and blobs that the prune may remove.
- `claims/<version>/<backup id>`: the claim of a backup that wants to publish this version. Claims exist only at
  providers without create-only writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bucketry.errors import InvalidRequestError

LATEST = "latest"
JSON = ".json"

_NUMBERED = re.compile(r"v([1-9][0-9]{0,17})")  # so that the next number always fits in a name
_BLOB = re.compile(r"([0-9a-f]{64})(-[0-9a-f]+)?")


@dataclass(frozen=True, slots=True)
class ModelKeys:
    """The keys of one model.

    Attributes:
        root: The prefix of all models, without a `/` at its end; empty: the models are at the top of the bucket.
        name: The model.
    """

    root: str
    name: str

    @property
    def base(self) -> str:
        """The prefix of all objects of this model."""
        return f"{models_prefix(self.root)}{self.name}/"

    @property
    def versions(self) -> str:
        """The prefix of the manifests."""
        return f"{self.base}versions/"

    @property
    def blobs(self) -> str:
        """The prefix of the blobs."""
        return f"{self.base}blobs/"

    @property
    def tags(self) -> str:
        """The prefix of the tags."""
        return f"{self.base}tags/"

    @property
    def leases(self) -> str:
        """The prefix of the leases."""
        return f"{self.base}leases/"

    @property
    def prunes(self) -> str:
        """The prefix of the records of prunes."""
        return f"{self.base}prunes/"

    @property
    def claims(self) -> str:
        """The prefix of all claims."""
        return f"{self.base}claims/"

    def version(self, version: str) -> str:
        """Return the key of a version's manifest."""
        return f"{self.versions}{version}{JSON}"

    def blob(self, blob: str) -> str:
        """Return the key of a blob."""
        return f"{self.blobs}{blob}"

    def tag(self, tag: str) -> str:
        """Return the key of a tag."""
        return f"{self.tags}{tag}{JSON}"

    def lease(self, backup_id: str) -> str:
        """Return the key of a lease."""
        return f"{self.leases}{backup_id}{JSON}"

    def prune(self, prune_id: str) -> str:
        """Return the key of a prune's record."""
        return f"{self.prunes}{prune_id}{JSON}"

    def claims_on(self, version: str) -> str:
        """Return the prefix of the claims on one version."""
        return f"{self.claims}{version}/"


def models_prefix(root: str) -> str:
    """Return the prefix of all models."""
    return f"{root}/" if root else ""


def name_in(key: str, prefix: str) -> str:
    """Return the part of a key between the prefix and `.json`."""
    return key.removeprefix(prefix).removesuffix(JSON)


def number_of(version: str) -> int | None:
    """Return the number in the name of a version, such as 12 for `v12`; `None`: the name has no number."""
    found = _NUMBERED.fullmatch(version)
    return int(found[1]) if found else None


def sha256_of(blob: str) -> str | None:
    """Return the SHA-256 in the name of a blob; `None`: this is not the name of a blob."""
    found = _BLOB.fullmatch(blob)
    return found[1] if found else None


def check_new_version(version: str) -> None:
    """Refuse a name for a new version that has another meaning already.

    Raises:
        InvalidRequestError: The name is `latest`.
    """
    if version == LATEST:
        message = f"version name {version!r}: it names the newest version by itself; choose another name"
        raise InvalidRequestError(message)


def check_new_tag(tag: str) -> None:
    """Refuse a name for a tag that has another meaning already.

    Raises:
        InvalidRequestError: The name is `latest`, which backups move, or could be a numbered version, such as `v3`.
    """
    if tag == LATEST:
        message = f"tag name {tag!r}: it moves by itself with each backup; choose another name, such as 'prod'"
        raise InvalidRequestError(message)
    if number_of(tag) is not None:
        message = f"tag name {tag!r}: a version has or may get this name; choose another name, such as 'prod'"
        raise InvalidRequestError(message)

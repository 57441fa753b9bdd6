"""The values of checkpoints that users see. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bucketry._manage.models.values import ModelKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFile:
    """One file of a checkpoint.

    Attributes:
        path: Relative to the directory, with `/` between the names. If the checkpoint is one file, the file's name.
        size: Length in bytes.
        sha256: The SHA-256 of its bytes, in hex.
        executable: Whether its owner may execute it.
    """

    path: str
    size: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A complete checkpoint.

    Attributes:
        model: The model that is trained.
        run: The id of the training run that made the checkpoint.
        step: The step of the training, as given to `TrainingRun.checkpoint`.
        created: When the checkpoint was complete, by the provider's clock; aware, UTC.
        kind: Whether the checkpoint is one file or a directory.
        files: The files, in the order of their paths; not in the `repr`, because there may be many.
    """

    model: str
    run: str
    step: int
    created: datetime
    kind: ModelKind
    files: tuple[CheckpointFile, ...] = field(repr=False)

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)

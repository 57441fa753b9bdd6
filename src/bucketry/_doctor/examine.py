"""Examines a provider from the configuration to the row's promises, and removes everything that it made."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bucketry._core.capabilities import Capabilities
from bucketry._core.config import LocalConfig
from bucketry._core.entries import Given
from bucketry._core.provider import IStorageProvider
from bucketry._doctor import checksums, conditions, listing, objects, uploads
from bucketry._doctor.access import examine_access
from bucketry._doctor.configuration import examine_credentials
from bucketry._doctor.disk import examine_case, examine_directory, scratch_directory
from bucketry._doctor.network import examine_network, measure_throughput
from bucketry._doctor.promises import best_row, compared
from bucketry._doctor.scratch import SCRATCH, Scratch, removed_old
from bucketry._doctor.subject import Direct, Subject, findings_of
from bucketry._doctor.values import Check, Finding, unknown
from bucketry._providers.s3.endpoint import is_own_endpoint
from bucketry._runtime.finish import finish
from bucketry._vendors import aws, generic
from bucketry.errors import StorageError
from bucketry.providers.factory import Configured
from bucketry.providers.s3 import S3FamilyProvider

PROBES = (*conditions.PROBES, *checksums.PROBES, *uploads.PROBES, *listing.PROBES, *objects.PROBES)
"""All checks of promises, in the order in which they are made."""

_NEVER_WRITTEN = ("--read-only: nothing is written", "objects cannot be written and deleted here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to examine.

    Attributes:
        read_only: Write nothing; most promises are not tested then.
        throughput: Measure the throughput with an object of 8 MiB.
        key: The prefix below which the scratch prefix is; empty: the whole bucket. Of a local provider, the directory
            below the store's directory.
    """

    read_only: bool = False
    throughput: bool = True
    key: str = ""


async def examine(configured: Configured, wanted: Wanted, report: Callable[[Check], None]) -> str:
    """Examine a provider; `report` gets each check as soon as it is made.

    Everything is made below `.bucketry-doctor/` and a random name, and removed at the end, also after an error or a
    cancellation. Scratch prefixes of examinations that were killed more than an hour ago are removed, too.

    Returns:
        The row that fits better than the present one, as the value of the entry `server`; empty: none does.

    Raises:
        ConfigError: The configuration is wrong; nothing was sent.

    Cost: about 250 requests, one after the other; 18 MiB up and 8 MiB down. With `read_only`: about 12 requests.
    """
    made: list[Check] = []

    def reported(check: Check) -> None:
        made.append(check)
        report(check)

    if configured.config_class is LocalConfig:
        return await _examine_directory(configured, wanted, made, reported)
    provider = replace(configured, prefix="").make()
    try:
        return await _examine_provider(provider, configured.prefix + wanted.key, wanted, made, reported)
    finally:
        await finish(provider.disconnect)


async def _examine_directory(
    configured: Configured, wanted: Wanted, made: list[Check], report: Callable[[Check], None]
) -> str:
    """Examine a local provider, in a directory of its own on the same file system."""
    given = configured.entries.get("base_path")
    path = _absolute(LocalConfig().base_path if given is None else given.value, wanted.key)
    async for check in examine_directory(path):
        report(check)
    if not any(check.name == "directory" and check.outcome == "ok" for check in made):
        return ""
    if wanted.read_only:
        return await _examine_requests(_subject(_in(path, configured), ""), {}, wanted, made, report)
    async with scratch_directory(path, report) as directory:
        if directory is None:
            return ""
        return await _examine_requests(_subject(_in(directory, configured), ""), {}, wanted, made, report)


def _absolute(path: str | os.PathLike[str], below: str) -> Path:
    return Path(os.path.abspath(os.path.join(path, below)))


def _in(directory: Path, configured: Configured) -> IStorageProvider:
    return replace(configured, entries={"base_path": Given(directory, "doctor")}).make()


async def _examine_provider(
    provider: IStorageProvider,
    prefix: str,
    wanted: Wanted,
    made: list[Check],
    report: Callable[[Check], None],
) -> str:
    """Examine a provider that is no directory: first the network, if there is one."""
    if not isinstance(provider, S3FamilyProvider):
        return await _examine_requests(_subject(provider, prefix), {}, wanted, made, report, clean=True)
    trial, row = provider.trial(), provider.row
    rows = {"aws": aws.VENDOR.capabilities, "generic": generic.VENDOR.capabilities}
    if is_own_endpoint(trial.config, row):
        del rows["aws"]  # an entry that the vendor's own servers do not accept
    try:
        plane = await trial.plane()
    except StorageError as error:
        report(Check(group="network", name="connection", outcome="failed", text=str(error), error=error))
        return ""
    subject = Subject(
        provider=provider,
        row=row.capabilities,
        requests=trial,
        scratch=Scratch(trial, _base(prefix)),
        trial=trial,
        direct=None if plane is None else Direct(trial, plane),
    )
    if subject.direct is not None:
        report(await examine_credentials(subject.direct))
    async for check in examine_network(subject, signed=not any(check.error is not None for check in made)):
        report(check)
    if any(check.error is not None for check in made):
        return ""
    return await _examine_requests(subject, rows, wanted, made, report, clean=True)


def _subject(provider: IStorageProvider, prefix: str) -> Subject:
    scratch = Scratch(provider, _base(prefix))
    return Subject(provider=provider, row=provider.capabilities, requests=provider, scratch=scratch)


def _base(prefix: str) -> str:
    return f"{prefix}{'/' if prefix and not prefix.endswith('/') else ''}{SCRATCH}"


async def _examine_requests(
    subject: Subject,
    rows: Mapping[str, Capabilities],
    wanted: Wanted,
    made: list[Check],
    report: Callable[[Check], None],
    *,
    clean: bool = False,
) -> str:
    """Examine access and promises; `clean`: remove the objects at the end."""
    try:
        async for check in examine_access(subject, read_only=wanted.read_only):
            report(check)
        if any(check.name in {"bucket", "credentials"} and check.outcome == "failed" for check in made):
            return ""
        return await _promises(subject, rows, made, wanted, report)
    finally:
        if clean and not wanted.read_only and subject.scratch.keys:
            await finish(lambda: _clean(subject, report))


async def _promises(
    subject: Subject,
    rows: Mapping[str, Capabilities],
    made: list[Check],
    wanted: Wanted,
    report: Callable[[Check], None],
) -> str:
    """Examine the row's promises, if objects can be written and deleted."""
    allowed = {check.name for check in made if check.outcome == "allowed"}
    if wanted.read_only or not {"list", "write", "delete"} <= allowed:
        reason = _NEVER_WRITTEN[not wanted.read_only]
        names = [name for probe in PROBES for name in probe.names]
        for check in compared([unknown(name, reason) for name in names], subject.row, rows):
            report(check)
        return ""
    await _remove_old(subject, report)
    if subject.trial is None:
        report(await examine_case(subject))
    elif wanted.throughput:
        report(await measure_throughput(subject))
    title = subject.provider.row.title if isinstance(subject.provider, S3FamilyProvider) else subject.provider.name
    text = f"comparing the server with what is known of: {title} (about 200 requests)"
    report(Check(group="promises", name="row", outcome="ok", text=text))
    findings: list[Finding] = []
    for number, probe in enumerate(PROBES):
        try:
            findings += await findings_of(probe, subject)
        except StorageError as error:
            report(Check(group="network", name="connection", outcome="failed", text=str(error), error=error))
            names = [name for later in PROBES[number:] for name in later.names]
            findings += [unknown(name, "the server does not answer any more") for name in names]
            break
    for check in compared(findings, subject.row, rows):
        report(check)
    return best_row(findings, subject.row, rows) or ""


async def _remove_old(subject: Subject, report: Callable[[Check], None]) -> None:
    try:
        written = await subject.requests.head(subject.scratch.key("written"))
        count = await subject.scratch.remove_old(written.last_modified)
    except StorageError as error:
        text = f"examinations that were killed may have left objects below {subject.scratch.base}: {error}"
        report(Check(group="access", name="old_objects", outcome="warning", text=text))
    else:
        if count:
            report(removed_old(count))


async def _clean(subject: Subject, report: Callable[[Check], None]) -> None:
    """Remove everything that the examination made, and report what is left."""
    prefix = subject.provider.locate(subject.scratch.prefix)
    try:
        left = await subject.scratch.remove()
    except StorageError as error:
        text = f"{prefix} could not be emptied: {error}"
        report(Check(group="cleanup", name="cleanup", outcome="failed", text=text, error=error))
        return
    if left:
        text = f"{len(left)} objects, versions or uploads are left below {prefix}: {', '.join(left[:3])}"
        advice = f"bucketry delete --recursive {prefix}, and bucketry uploads abort {prefix}"
        report(Check(group="cleanup", name="cleanup", outcome="failed", text=text, advice=advice))
    else:
        report(Check(group="cleanup", name="cleanup", outcome="ok", text=f"nothing is left below {prefix}"))

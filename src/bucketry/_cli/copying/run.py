"""Runs `copy` and `move`: finds what to do, checks it, does it, and reports."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

from bucketry._cli.commands import UsageError
from bucketry._cli.copying.arguments import CopyArguments
from bucketry._cli.copying.items import CopySource, find_source, items_of
from bucketry._cli.copying.one import Copier
from bucketry._cli.copying.pairs import Pair, Pairs, find_destination, plan_pairs
from bucketry._cli.copying.words import End, Local, read_words
from bucketry._cli.counts import Counts
from bucketry._cli.exits import DONE, FAILED
from bucketry._cli.expected import counting_sizes
from bucketry._cli.object_options import given_options, write_keywords
from bucketry._cli.output import Output, counted, shown, shown_size
from bucketry._cli.place import STREAM, Places, Remote, prove_access, transfer_config
from bucketry._cli.progress import progress, reporter
from bucketry._cli.report import again_with, batch_of_one, report, told_to_continue
from bucketry._cli.selection import literal_key, narrows, single_key
from bucketry._cli.streams import object_to_stdout, read_stdin
from bucketry._core.options import WriteKeywords
from bucketry._core.provider import IStorageProvider
from bucketry._core.values import BatchResult
from bucketry._transfer.manager import TransferManager
from bucketry._transfer.many import BatchCollector, settled
from bucketry._transfer.one.read import exists
from bucketry._transfer.one.write import create_only
from bucketry._transfer.workers import fan_out
from bucketry.errors import AlreadyExistsError


async def copy_or_move(options: CopyArguments, places: Places, output: Output, *, moves: bool) -> int:
    """Copy or move the sources to the destination; return the exit code.

    Raises:
        UsageError: The words and options do not fit together, or would destroy something; nothing was done.
        StorageError: The one named file or object could not be copied. If there are several, their errors are reported.
    """
    write = write_keywords(options, output)
    ends, end = await read_words(options.words, places)
    if problem := _problem(options, ends, end, moves=moves):
        raise UsageError(problem)
    if any(isinstance(one, Local) and one.is_stream for one in (*ends, end)):
        return await _stream(ends[0], end, options, write, output)
    for one in ends:
        if isinstance(one, Remote):
            await prove_access(one.provider, "reads")
    sources = [await find_source(one, options) for one in ends]
    destination = await find_destination(end, sources, options)
    pairs = await plan_pairs(sources, destination, options)
    copier = Copier(destination, options, write, moves)
    for provider in {id(one.provider): one.provider for one in (*ends, end) if isinstance(one, Remote)}.values():
        copier.manager(provider)  # refuses options that are out of range
    if options.dry_run:
        return await _show(pairs, copier, [*ends, end], output)
    if isinstance(end, Remote):
        await prove_access(end.provider, "writes")
    started = time.monotonic()
    source = ends[0].url if output.as_json else ends[0].name
    single = len(sources) == 1 and sources[0].kind == "one"
    goal = destination.target(sources[0].name) if single else destination.path
    name = destination.url if output.as_json else partial(_name, [end], destination.provider)
    names = (source if len(ends) == 1 else counted(len(ends), "source"), name(goal))
    with progress(output, output.verb) as counts:
        copier.progress = reporter(counts)
        batch = await (_only(pairs, copier) if single else _each(pairs, copier, sources, options, counts, output))
    again = again_with(no_clobber=options.no_clobber or moves)
    return report(output, output.verb, names, batch, time.monotonic() - started, again)


async def _only(pairs: Pairs, copier: Copier) -> BatchResult:
    """Copy the one file or object that was named; its error is the error of the verb."""
    async with aclosing(pairs()) as found:
        async for pair in found:
            result = await copier.one(pair)
            return BatchResult(succeeded=(pair.item.label,)) if result is None else batch_of_one(result)
    return BatchResult()  # a pattern or a time leaves it out


async def _each(
    pairs: Pairs,
    copier: Copier,
    sources: Sequence[CopySource],
    options: CopyArguments,
    counts: Counts | None,
    output: Output,
) -> BatchResult:
    """Copy many; if one fails, the others continue."""
    collector = BatchCollector()

    async def one(pair: Pair) -> None:
        collector.note(*await settled(pair.item.label, copier.one(pair)))
        if counts is not None:  # the transfer has reported under one of these keys; one that failed never ends there
            counts.ended(pair.target)
            counts.ended(pair.item.key)

    again = again_with(no_clobber=options.no_clobber or copier.moves)
    if counts is not None:
        counts.expect(0, 0, complete=False)
    with told_to_continue(output, again):
        # The names of --files-from may come from standard input, which can be read one time only.
        async with counting_sizes(_sizes(sources, options), None if options.files_from else counts):
            await fan_out(pairs(), one, width=copier.width)
    return collector.result()


async def _sizes(sources: Sequence[CopySource], options: CopyArguments) -> AsyncGenerator[int, None]:
    for source in sources:
        async with aclosing(items_of(source, options)) as items:
            async for item in items:
                if item.error is None and (item.size or not item.name.endswith("/")):
                    yield item.size or 0


def _name(ends: Sequence[End], provider: IStorageProvider | None, key: str) -> str:
    """Return the name of a path or of a provider's key, in the form of the words: as `NAME:key` for a named place."""
    if provider is None:
        return key
    named = (one.place for one in ends if isinstance(one, Remote) and one.provider is provider)
    return Remote(provider, key, place=next(named, None)).name


async def _show(pairs: Pairs, copier: Copier, words: Sequence[End], output: Output) -> int:
    """Print what would be done, and sum it up; return the exit code."""
    files = size = failed = 0
    verb = output.verb
    async with aclosing(pairs()) as found:
        async for pair in found:
            if pair.item.error is not None:
                failed += 1
                output.failures(BatchResult(failed={pair.item.label: pair.item.error}))
                continue
            if await copier.skips(pair):
                continue
            files, size = files + 1, size + (pair.item.size or 0)
            if output.as_json:
                ends = pair.item.label, copier.destination.url(pair.target)
                output.document({"verb": verb, "source": ends[0], "destination": ends[1], "size": pair.item.size})
            else:
                source = _name(words, pair.item.provider, pair.item.key if pair.item.provider else pair.item.label)
                target = _name(words, copier.destination.provider, pair.target)
                output.line(f"{verb} {shown(source)} → {shown(target)}")
    if not output.as_json:
        output.note(f"would {verb} {counted(files, 'file')}, {shown_size(size)}; nothing was done")
    return FAILED if failed else DONE


async def _stream(source: End, end: End, options: CopyArguments, write: WriteKeywords, output: Output) -> int:
    """Copy standard input to an object, or an object to standard output; return the exit code."""
    if isinstance(source, Remote):
        await prove_access(source.provider, "reads")
        return await object_to_stdout(source.provider, single_key(source), output)
    assert isinstance(end, Remote)  # noqa: S101 - `_problem` has refused two local ends
    key = literal_key(end)
    if not key or key.endswith("/"):
        message = f"{end.url}: standard input has no name: give the complete key"
        raise UsageError(message)
    manager = TransferManager(end.provider, transfer_config(end.provider, options))
    await prove_access(end.provider, "writes")
    started = time.monotonic()
    batch = BatchResult(succeeded=(key,))
    if not (options.no_clobber and await exists(end.provider, key)):
        if options.no_clobber:
            write = create_only(write, end.provider.capabilities)
        try:
            with progress(output, output.verb) as counts:
                async with aclosing(read_stdin()) as chunks:
                    result = await manager.upload_stream(chunks, key, progress=reporter(counts), **write)
            batch = batch_of_one(result)
        except AlreadyExistsError:  # another program has made it meanwhile
            if not options.no_clobber:
                raise
    names = (source.url, end.url if output.as_json else end.name)
    return report(output, output.verb, names, batch, time.monotonic() - started)


def _problem(options: CopyArguments, sources: Sequence[End], end: End, *, moves: bool) -> str | None:
    """Return what is wrong with the words and options together, if anything is."""
    if moves and options.no_verify:
        return "a move deletes what it has copied, so each copy is checked; leave out --no-verify"
    if any(isinstance(one, Local) and one.is_stream for one in (*sources, end)):
        return _problem_of_stream(options, sources, end, moves=moves)
    if isinstance(end, Local) and any(isinstance(one, Local) for one in sources):
        return f"{end.url} and a source are both local; copy local files with cp, or name a store"
    if isinstance(end, Local) and (given := given_options(options)):
        return f"{given[0]} is a property of objects, and {end.url} is local; leave it out"
    if options.files_from is not None and len(sources) > 1:
        return "--files-from gives names below one SOURCE; give one directory or prefix"
    return None


def _problem_of_stream(options: CopyArguments, sources: Sequence[End], end: End, *, moves: bool) -> str | None:
    if moves:
        return f"{STREAM} cannot be moved; use copy"
    if len(sources) > 1 or not (isinstance(sources[0], Remote) or isinstance(end, Remote)):
        return f"{STREAM} is standard input or output, so the only other word names an object"
    if options.dry_run or options.recursive or options.files_from is not None or narrows(options):
        return f"{STREAM} is one object; leave out --dry-run and the options of selection"
    if isinstance(end, Remote):
        return None
    if options.no_clobber or given_options(options):
        return "standard output is not an object; leave out --no-clobber and the options of objects"
    return "standard output takes the object's bytes, so --json cannot be used" if options.json else None

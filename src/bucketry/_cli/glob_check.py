"""The check of a glob before a verb copies or deletes: it must match something, and all that it matches is taken."""

from __future__ import annotations

from contextlib import aclosing

from bucketry._cli.commands import UsageError
from bucketry._cli.globs import Glob
from bucketry._cli.objects import nothing_there
from bucketry._cli.output import shown
from bucketry._cli.place import Remote
from bucketry._cli.selection import Filters, SelectionArguments, base_of, narrows


async def check_glob(remote: Remote, options: SelectionArguments, *, recursive: bool) -> None:
    """Check that a glob selects what `list` shows for it; nothing is changed.

    Without this check, a verb without `--recursive` would take fewer objects than `list` shows, and say nothing.

    Args:
        remote: A word with wildcards.
        options: What is left out.
        recursive: Whether the verb also takes what is below the directories that match.

    Raises:
        NotFoundError: The glob matches nothing, and no option leaves anything out.
        UsageError: Without `recursive`, the glob matches a directory with objects that no option leaves out.

    Cost: 1 or 2 requests, and 1 for each 1,000 objects and directories on the glob's level; with `recursive` those up
    to the first object that is selected.
    """
    glob, base = Glob(remote.key), base_of(remote)
    filters, is_direct = Filters(options), glob.matcher()
    empty = True
    # Whatever is in a directory, the first object below it is enough, so directories are never listed as a whole.
    async with aclosing(glob.search(remote.provider, below=True, large=0)) as found:
        async for entry in found:
            if not filters.keeps(entry, entry.key[len(base) :]):
                continue
            empty = False
            if recursive:
                break
            if not is_direct(entry.key):
                pattern = f"/{glob.text[len(base) :]}/"
                message = (
                    f"{remote.url}: also matches directories: it selects {shown(entry.key)}; for everything below "
                    f"them, add --recursive; to leave them out, add --exclude '{pattern}'"
                )
                raise UsageError(message)
    if empty and not narrows(options):
        raise nothing_there(remote)

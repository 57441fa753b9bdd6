"""Looks for the promises about keys and listings: order, encoding, pages, prefixes, Unicode forms, longest key."""

from __future__ import annotations

import unicodedata

from bucketry._core.values import CommonPrefix, ListPage
from bucketry._doctor.subject import Probe, Subject
from bucketry._doctor.values import Finding, unknown
from bucketry.errors import NotFoundError, StorageError

_ORDERED = ("Z", "a", "a b", "a0", "é", "\uff41", "\U0001f600")
"""In UTF-8 binary order. In the order of UTF-16, the last two are exchanged."""
_ODD = ("a space", "50%", "%41", "plus+plus", "a=b?c#d;e", "&<>\"'", "äöü", "\u732b", "\U0001f600", "tilde~*!()")
_CONTROL = ("\x01", "tab\tline\n", "del\x7f")
_DECOMPOSED = "e\u0301"  # an e with an accent in two characters: form NFD
_SEGMENT = 200  # a longer part between slashes is refused by file systems, which some servers use
_SHORTEST_LIMIT = 255


async def _order(subject: Subject) -> list[Finding]:
    name, prefix = "listing_order", await _stored(subject, "order/", _ORDERED)
    expected = [f"{prefix}{key}" for key in _ORDERED]
    if subject.direct is not None:
        trial, plane = subject.direct
        listed = await trial.keys_as_sent(plane, prefix)
    else:
        listed = _keys(await subject.requests.list_page(prefix))
    if sorted(listed) != sorted(expected):
        return [unknown(name, "the listing does not have exactly the keys that were stored; see listing_keys")]
    sorted_so = listed == expected
    text = "keys are listed in UTF-8 binary order" if sorted_so else "keys are listed in another order"
    return [Finding(name=name, found=sorted_so, text=text)]


async def _encoding(subject: Subject) -> list[Finding]:
    return [await _exact(subject, "listing_keys", "odd/", _ODD, "blanks, %, +, quotes and Unicode")]


async def _control(subject: Subject) -> list[Finding]:
    return [await _exact(subject, "control_characters", "control/", _CONTROL, "control characters")]


async def _exact(subject: Subject, name: str, folder: str, keys: tuple[str, ...], what: str) -> Finding:
    """Store keys one by one, and compare the listing and the objects with them."""
    prefix, problems = f"{subject.scratch.prefix}{folder}", []
    for key in keys:
        try:
            await subject.scratch.put(folder + key, key.encode())
            async with subject.requests.open_body(prefix + key) as body:
                if await body.read() != key.encode():
                    problems.append(f"{key!r} has the bytes of another object")
        except StorageError as error:
            if error.retryable and error.status is None:
                raise
            problems.append(f"{key!r} is refused ({error.status} {error.code or ''})".replace(" )", ")"))
    listed = {key.removeprefix(prefix) for key in _keys(await subject.requests.list_page(prefix))}
    stored = [key for key in keys if not any(repr(key) in problem for problem in problems)]
    problems += [f"{key!r} is missing in the listing" for key in stored if key not in listed]
    problems += [f"{key!r} is listed, but was not stored" for key in sorted(listed - set(keys))]
    text = "; ".join(problems) or f"keys with {what} are stored and listed exactly"
    return Finding(name=name, found=not problems, text=text)


async def _delimiter(subject: Subject) -> list[Finding]:
    prefix = await _stored(subject, "tree/", ("a", "b/1", "b/2"))
    page = await subject.requests.list_page(prefix, delimiter="/")
    found = [entry.prefix if isinstance(entry, CommonPrefix) else entry.key for entry in page.entries]
    right = found == [f"{prefix}a", f"{prefix}b/"]
    text = "keys below a delimiter are one common prefix" if right else f"the delimiter gives {len(found)} entries"
    return [Finding(name="listing_delimiter", found=right, text=text)]


async def _pages(subject: Subject) -> list[Finding]:
    name, keys = "listing_pages", ("1", "2", "3")
    if subject.trial is None:
        return [unknown(name, "pages of this provider cannot be made smaller")]
    prefix = await _stored(subject, "pages/", keys)
    first, second = await subject.trial.list_pages_of(prefix, 2)
    if first.next_token is None and len(first.entries) == len(keys):
        return [unknown(name, "the server ignores max-keys, so there is only one page")]
    right = [*_keys(first), *_keys(second)] == [f"{prefix}{key}" for key in keys]
    text = "the second page follows the first" if right else "two pages do not have the keys that were stored"
    return [Finding(name=name, found=right, text=text)]


async def _start_after(subject: Subject) -> list[Finding]:
    prefix = await _stored(subject, "start/", ("1", "2", "3"))
    listed = _keys(await subject.requests.list_page(prefix, start_after=f"{prefix}1"))
    right = listed == [f"{prefix}2", f"{prefix}3"]
    text = "a listing begins after the given key" if right else "start-after is ignored"
    return [Finding(name="listing_start_after", found=right, text=text)]


async def _normalization(subject: Subject) -> list[Finding]:
    name, prefix = "key_normalization", await _stored(subject, "form/", (_DECOMPOSED,))
    # The key may come back in another form, which must be removed, too.
    subject.scratch.key(f"form/{unicodedata.normalize('NFC', _DECOMPOSED)}")
    listed = [key.removeprefix(prefix) for key in _keys(await subject.requests.list_page(prefix))]
    if listed == [_DECOMPOSED]:
        return [Finding(name=name, found="", text="keys keep their Unicode form")]
    forms = [form for form in ("NFC", "NFKC") if listed == [unicodedata.normalize(form, _DECOMPOSED)]]
    if not forms:
        return [unknown(name, f"a key with a decomposed character is listed as {listed!r}")]
    return [Finding(name=name, found=forms[0], text=f"keys are changed to the Unicode form {forms[0]}")]


async def _plain_paths(subject: Subject) -> list[Finding]:
    name = "plain_paths"
    await subject.scratch.put("both", b"1")
    try:
        await subject.scratch.put("both/below", b"2")
        await subject.requests.head(subject.scratch.key("both"))
    except StorageError as error:
        if error.retryable and error.status is None:
            raise
        return [Finding(name=name, found=True, text="a key cannot also be the directory of another key")]
    return [Finding(name=name, found=False, text="a key can also be the beginning of other keys")]


async def _longest_key(subject: Subject) -> list[Finding]:
    name, longest = "max_key_length", subject.row.max_key_length
    rest = longest - len(subject.scratch.prefix.encode()) - len("long/")
    segments = [("k" * _SEGMENT) for _ in range(rest // (_SEGMENT + 1))]
    last = rest - len(segments) * (_SEGMENT + 1)
    # The rest is the last part; if it would be empty, one letter moves there.
    segments += ["k" * last] if last else []
    key = "long/" + "/".join(segments)
    if not last:
        key += "k"
    if len(subject.scratch.prefix.encode()) + len(key.encode()) != longest or longest < _SHORTEST_LIMIT:
        return [unknown(name, "the scratch prefix is too long for this check")]
    info = await subject.scratch.put(key, b"1")
    try:
        await subject.requests.head(info.key)
    except NotFoundError:
        return [Finding(name=name, found=False, text=f"a key of {longest:,} bytes is accepted, but cannot be read")]
    return [Finding(name=name, found=longest, text=f"a key of {longest:,} bytes is stored")]


async def _stored(subject: Subject, folder: str, keys: tuple[str, ...]) -> str:
    """Store small objects below a folder of the scratch prefix, and return their prefix."""
    for key in reversed(keys):  # not in the order of the keys, because a server may list in the order of the writes
        await subject.scratch.put(folder + key, b"1")
    return f"{subject.scratch.prefix}{folder}"


def _keys(page: ListPage) -> list[str]:
    return [entry.key for entry in page.entries if not isinstance(entry, CommonPrefix)]


PROBES = (
    Probe(_order, ("listing_order",)),
    Probe(_encoding, ("listing_keys",)),
    Probe(_control, ("control_characters",)),
    Probe(_delimiter, ("listing_delimiter",)),
    Probe(_pages, ("listing_pages",)),
    Probe(_start_after, ("listing_start_after",)),
    Probe(_normalization, ("key_normalization",)),
    Probe(_plain_paths, ("plain_paths",)),
    Probe(_longest_key, ("max_key_length",)),
)

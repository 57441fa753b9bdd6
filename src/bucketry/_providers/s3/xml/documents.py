"""The data plane's XML: a reader with limits, error responses, and bulk deletions. Listing pages are in `listing`.

The reader uses the standard library's C parser. Expat builds C elements, so no Python code runs for each element. It
takes 2.6 ms for 1,000 keys in 345 KB. With Python functions as handlers expat takes 3.3 ms, even if the functions do
nothing; with the tree builder's methods as handlers it takes 3.5 ms.

A response is not trusted. It is read as UTF-8, whatever encoding it declares. A document type is refused, so that only
XML's own five entities exist. The numbers of bytes, tags and attributes are limited. The tree contains only that child
of the root that is arriving. The size of this child is limited, and so are its texts and its depth. No function calls
itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from bucketry._core.units import KiB, MiB
from bucketry._providers.s3.xml.characters import fits_xml

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

LARGEST_ANSWER = 16 * MiB  # 1,000 keys of 1,024 bytes, each byte as `&quot;` or `%22`, and other fields: 7 MiB
LARGEST_CHILD = 64 * KiB  # an entry of a listing is 7 KiB at most
MOST_MARKUP = 300_000  # `<` and `=` characters: enough for 10,000 entries with every field that S3 sends
_SLICE = 32 * KiB  # larger pieces of a response are parsed in slices, so that the tree stays small
_DOCUMENT_TYPE = b"<!DOCTYPE"  # the only valid form, without spaces or small letters; other encodings are refused
_ERROR_FIELDS = ("Code", "Message", "Region", "RequestId")
_DELETION_FIELDS = ("Key", "Code", "Message")


class MalformedXMLError(ValueError):
    """The response is not the expected XML: it is cut short, has another root, or exceeds a limit."""


class AnswerIsErrorError(ValueError):
    """The response is an `<Error>` with status 200, which S3 sends if it fails after it began to answer.

    Attributes:
        fields: The fields of the `<Error>`, as `error_fields` returns them.
    """

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(f"the answer is an error: {fields.get('Code')} ({fields.get('Message', '')})")
        self.fields = fields


class XMLReader:
    """Reads a document as its bytes arrive, and yields each child of the root once, when the child is complete.

    After an error the reader cannot be used again.

    Args:
        roots: The names that the root may have, in any namespace.
        fields: The names that `texts` looks for.

    Attributes:
        root: The name of the root; empty until it has arrived.
        namespace: The text before each name, such as `"{http://s3.amazonaws.com/doc/2006-03-01/}"`.
    """

    def __init__(self, *roots: str, fields: tuple[str, ...] = ()) -> None:
        self.root = ""
        self.namespace = ""
        self._roots = roots
        self._fields = fields
        builder = TreeBuilder()
        self._above: Element = builder.start("", {})  # the root's parent, in which the root appears when it begins
        self._parser = XMLParser(target=builder, encoding="utf-8")  # noqa: S314 - see the module's docstring
        self._tail = b""
        self._size = 0
        self._since_child = 0
        self._markup = 0

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Element]:
        """Read the next bytes, and yield the children that are now complete; the caller must exhaust the iterator.

        Raises:
            MalformedXMLError: The bytes are not XML with one of the roots, or exceed a limit.
        """
        for start in range(0, len(data), _SLICE):
            yield from self._read(bytes(memoryview(data)[start : start + _SLICE]))

    def close(self) -> Iterator[Element]:
        """Yield the remaining children, after all bytes were fed; the caller must exhaust the iterator.

        Raises:
            MalformedXMLError: The document is not complete.
        """
        try:
            self._parser.close()
        except ParseError as exc:
            raise MalformedXMLError(f"the answer is not complete XML: {exc}") from exc
        yield from self._complete_children()  # newer versions of expat parse some bytes only at the end
        yield from self._above[0]

    def texts(self, child: Element) -> Iterator[str | None]:
        """Return the text of the element directly below `child` for each of the `fields`; `None` if it is missing."""
        return map(child.findtext, self._fields)

    def name(self, child: Element) -> str:
        """Return the name of a child of the root.

        Raises:
            MalformedXMLError: The child is in another namespace. It is not skipped, because an object could be lost.
        """
        name = child.tag.removeprefix(self.namespace)
        if name.startswith("{"):
            raise MalformedXMLError(f"the answer mixes namespaces: {child.tag[:100]} in <{self.root}>")
        return name

    def _read(self, piece: bytes) -> list[Element]:
        self._size += len(piece)
        if self._size > LARGEST_ANSWER:
            raise MalformedXMLError(f"the answer is longer than {LARGEST_ANSWER} bytes")
        self._markup += piece.count(b"<") + piece.count(b"=")  # limited, as the parser keeps new names in memory
        if self._markup > MOST_MARKUP:
            raise MalformedXMLError(f"the answer has more than {MOST_MARKUP} tags and attributes")
        if not self.root:  # only before the root, because inside it a document type is a syntax error
            prolog = self._tail + piece
            if b"\0" in prolog:  # UTF-16, which a byte order mark or the first character would select
                raise MalformedXMLError("the answer is not XML in UTF-8")
            if _DOCUMENT_TYPE in prolog:
                raise MalformedXMLError("the answer has a document type, which S3 never sends")
            self._tail = prolog[1 - len(_DOCUMENT_TYPE) :]
        try:
            self._parser.feed(piece)
        except ParseError as exc:
            raise MalformedXMLError(f"the answer is not XML: {exc}") from exc
        complete = self._complete_children()
        self._since_child = 0 if complete else self._since_child + len(piece)
        if self._since_child > LARGEST_CHILD:
            raise MalformedXMLError(f"one entry of the answer is longer than {LARGEST_CHILD} bytes")
        return complete

    def _complete_children(self) -> list[Element]:
        """Remove the root's complete children from the tree, and return them; only the last child is not complete."""
        if not len(self._above):
            return []
        root = self._above[0]
        if not self.root:
            end = root.tag.find("}") + 1
            self.namespace, self.root = root.tag[:end], root.tag[end:]
            if self.root not in self._roots:
                raise MalformedXMLError(f"the answer is <{self.root[:100]}>, not <{self._roots[0]}>")
            self._fields = tuple(self.namespace + name for name in self._fields)
        complete = root[:-1]
        del root[:-1]
        return complete


def error_fields(body: bytes) -> dict[str, str]:
    """Return the `Code`, `Message`, `Region` and `RequestId` of an `<Error>`, without those that it does not have.

    Returns:
        The fields; an empty dictionary if the body is no `<Error>`, but empty, cut short, or a proxy's page.
    """
    reader = XMLReader("Error")
    fields: dict[str, str] = {}
    try:
        for child in chain(reader.feed(body), reader.close()):
            keep_error_field(fields, reader.name(child), child)
    except MalformedXMLError:
        return {}
    return fields


def keep_error_field(fields: dict[str, str], name: str, child: Element) -> None:
    """Add a child of an `<Error>` to `fields`, if the errors of this package use this field."""
    if name in _ERROR_FIELDS:
        fields.setdefault(name, child.text or "")


def deletions(body: bytes) -> tuple[list[str], list[dict[str, str]]]:
    """Read a `<DeleteResult>`; its keys are not URL-encoded, because the request cannot ask for this encoding.

    Returns:
        The deleted keys, and `Key`, `Code` and `Message` of each key that was not deleted; a missing text is empty.

    Raises:
        AnswerIsErrorError: The response is an `<Error>`.
        MalformedXMLError: The response is no such document, or is cut short.
    """
    reader = XMLReader("DeleteResult", "Error", fields=_DELETION_FIELDS)
    deleted: list[str] = []
    failed: list[dict[str, str]] = []
    error: dict[str, str] = {}
    for child in chain(reader.feed(body), reader.close()):
        name = reader.name(child)
        if reader.root == "Error":
            keep_error_field(error, name, child)
        elif name == "Deleted":
            deleted.append(next(reader.texts(child)) or "")
        elif name == "Error":
            texts = zip(_DELETION_FIELDS, reader.texts(child), strict=True)
            failed.append({field: text or "" for field, text in texts})
    if reader.root == "Error":
        raise AnswerIsErrorError(error)
    return deleted, failed


def deletion_request(keys: Sequence[str]) -> bytes:
    """Return the `<Delete>` document that requests the deletion of `keys`.

    Args:
        keys: Keys that XML can represent: no control characters but tab, line feed and carriage return.

    Raises:
        ValueError: A key has a character that XML 1.0 cannot represent.
    """
    objects = "".join(f"<Object><Key>{escaped(key)}</Key></Object>" for key in keys)
    return f'<Delete xmlns="{NAMESPACE}">{objects}</Delete>'.encode()


def escaped(text: str) -> str:
    """Escape a text for use in an element.

    Raises:
        ValueError: The text has a character that XML 1.0 cannot represent.
    """
    if not fits_xml(text.replace("\r", "")):  # a carriage return is escaped below
        raise ValueError(f"XML 1.0 cannot represent {text!r}")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#xD;").replace("\n", "&#xA;")  # because parsers may change line ends

"""Writes `docs/reference/capabilities.md` from the vendors' rows: run it after a row has changed."""

from __future__ import annotations

from pathlib import Path

from bucketry._core.units import GiB, KiB, MiB, TiB
from bucketry._vendors import aws, backblaze, generic, local, memory, r2, spaces, wasabi
from bucketry._vendors.row import Vendor

PAGE = Path(__file__).parent / "reference" / "capabilities.md"
VENDORS = (
    aws.VENDOR,
    spaces.VENDOR,
    wasabi.VENDOR,
    backblaze.VENDOR,
    r2.VENDOR,
    generic.VENDOR,
    local.VENDOR,
    memory.VENDOR,
)
UNLIMITED = 2**63 - 1
ROWS = (
    ("Largest object", "max_object_size"),
    ("Largest single PUT", "max_put_size"),
    ("Largest single copy", "max_copy_size"),
    ("Smallest part but the last", "min_part_size"),
    ("Largest part", "max_part_size"),
    ("Parts", "max_parts"),
    ("Parts must be equal", "equal_part_sizes"),
    ("Parts are used from", "multipart_threshold"),
    ("Keys in a listing page", "max_list_keys"),
    ("Keys in a bulk delete", "max_delete_keys"),
    ("Bytes in a key", "max_key_length"),
    ("Bytes of user metadata", "max_metadata_size"),
    ("`if_none_match` on a PUT", "put_if_none_match"),
    ("`if_none_match` on parts", "complete_if_none_match"),
    ("`if_match` on a PUT", "put_if_match"),
    ("`if_match` on parts", "complete_if_match"),
    ("`if_match` on reads", "get_if_match"),
    ("Copies pinned to an etag", "copy_source_if_match"),
    ("Checksum of a PUT", "put_checksum"),
    ("Checksum of a part", "multipart_checksum"),
    ("Checksums to verify reads by", "stored_checksums"),
    ("Signed URLs for", "presign_methods"),
    ("Longest signed URL, seconds", "max_presign_expiry"),
    ("Signed upload forms", "presign_post"),
    ("Versions by id", "versions"),
    ("Tags", "tags"),
    ("Encryption by configuration", "encryption"),
    ("Requester pays", "request_payer"),
    ("Expected bucket owner", "expected_bucket_owner"),
    ("Deleting only hides", "soft_delete"),
    ("Keys are normalized to", "key_normalization"),
)


def render() -> str:
    """Give the page's text."""
    lines = [
        "# Capabilities",
        "",
        "<!-- Written by docs/generate_capabilities.py from src/bucketry/_vendors: do not edit. -->",
        "",
        "What each provider can do. A program reads the same values as `provider.capabilities`.",
        "[`Capabilities`](values.md#bucketry.Capabilities) describes the fields.",
        'Where the table says "no", a method that needs the feature raises `UnsupportedError` before a byte is sent.',
        '"No" can also mean that nobody has verified it. An unverified limit has a value that is safe.',
        "`if_match` on a read works everywhere, because bucketry also compares the etag of each answer.",
        "",
        "## Limits and promises",
        "",
        _line(["", *(vendor.title for vendor in VENDORS)]),
        _line(["---"] * (len(VENDORS) + 1)),
    ]
    for title, name in ROWS:
        lines.append(_line([title, *(_value(name, vendor) for vendor in VENDORS)]))
    lines += ["", "## Places", ""]
    lines += [
        _line(["", "endpoint", "known regions", "open uploads are removed after", "published rates"]),
        _line(["---"] * 5),
        *(_place(vendor) for vendor in VENDORS if vendor.regions),
        "",
        "A region that is not in the list is used all the same, and a warning is logged.",
        "",
        "## Sources",
        "",
    ]
    for vendor in VENDORS:
        if vendor.sources:
            links = ", ".join(f"[{what}]({url})" for what, url in vendor.sources.items())
            lines.append(f"- {vendor.title}: {links}.")
    lines += [
        "",
        "A link to `github.com/vdavid/cmdr` means",
        "[Cmdr's run](../explanation/s3-compatible.md#where-the-facts-come-from):",
        "tests that another project made on real accounts in October 2026.",
        "Some facts about Wasabi, Spaces, B2 and R2 have no source; `src/bucketry/_vendors` marks them as unverified.",
    ]
    return "\n".join(lines) + "\n"


def _place(vendor: Vendor) -> str:
    days = "never" if vendor.autodelete_days is None else f"{vendor.autodelete_days} days"
    regions = ", ".join(vendor.regions)
    endpoint = f"`{vendor.endpoint_template}`"
    return _line([vendor.title, endpoint, regions, days, vendor.write_rate or "none"])


def _value(name: str, vendor: Vendor) -> str:
    value = getattr(vendor.capabilities, name)
    match value:
        case bool():
            text = "yes" if value else "no"
        case int() if value >= UNLIMITED:
            text = "no limit"
        case int() if name.endswith(("_size", "_threshold")) and name != "max_metadata_size":
            text = _size(value)
        case int() if name == "max_presign_expiry" and not vendor.capabilities.presign_methods:
            text = "–"
        case int():
            text = f"{value:,}"
        case tuple():
            text = ", ".join(value)
        case _:
            text = str(value or "")
    return text or "none"


def _size(value: int) -> str:
    units = (("TiB", TiB), ("TB", 10**12), ("GiB", GiB), ("GB", 10**9), ("MiB", MiB), ("KiB", KiB))
    for unit, factor in units:
        if value >= factor and value % factor == 0:
            return f"{value // factor:,} {unit}"
    for unit, factor in (("TiB", TiB), ("GiB", GiB)):
        if value >= factor:
            return f"{value / factor:.3f} {unit}"
    return f"{value:,} B"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")

"""A COCO annotation file in parts, so that not all of a large one is in memory at a time."""

import mmap
import operator
import re

from lhrcnn.data.readers import lookup
from lhrcnn.errors import DataError

_BLOCK = 1 << 22  # bytes
_KEYS = (b'"images"', b'"categories"', b'"info"', b'"licenses"')
_START = re.compile(rb'"annotations"\s*:\s*\[')
_POLYGONS = re.compile(rb'"segmentation"\s*:\s*\[[][0-9.,eE+\s-]*\]\s*,')
_BOXED = operator.itemgetter("bbox")
_BETWEEN = re.compile(rb"\}\s*,\s*(?=\{)")


def load(file):
    """(content without annotations, iterable of lists of annotations) of a file.

    Raises DataError where it is not COCO's format, at the latest from the iterable."""
    content, parts = _load_in_parts(file) if file.stat().st_size > _BLOCK else (None, None)
    if content is None:
        content = _parsed(file)
        parts = [content.pop("annotations", [])]
    for key in ("images", "categories"):
        if not isinstance(content.get(key), list):
            raise DataError(f"{file}: not a COCO detection file: no list under '{key}' at the top")
        _check_entries(file, key, content[key])
    return content, _checked(file, parts)


def _parsed(file):
    try:
        content = lookup.from_json(lookup.read_text(file))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not readable as JSON: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("annotations", []), list):
        raise DataError(f"{file}: not a COCO detection file: no lists under keys at the top")
    return content


def _checked(file, parts):
    for part in parts:
        _check_entries(file, "annotations", part)
        yield part


def _check_entries(file, key, entries):
    if not {*map(type, entries)} <= {dict}:
        text = f"'{key}' has entries that are no objects {{...}}"
        raise DataError(f"{file}: not a COCO detection file: {text}")


def _load_in_parts(file):
    """As `load`, the annotations parsed block by block; (None, None) where the file is not plain.

    What is before and behind the annotations is parsed first: that shows whether they are the value
    of a key at the top, and where they end."""
    with open(file, "rb") as stream:
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    match = _START.search(data)
    if not match:
        return None, None
    later = [data.rfind(key) for key in _KEYS if data.find(key, 0, match.start()) < 0]
    following = min([at for at in later if at > match.end()], default=len(data))
    end = max(match.end(), data.rfind(b"]", match.end(), following))
    try:
        content = lookup.from_json(data[: match.end()] + data[end:])
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(content, dict) or content.pop("annotations", None) != []:
        return None, None
    return content, _parts(file, data, match.end(), end)


def _parts(file, data, start, end):
    """Lists of the annotations in data[start:end], each of about a block of bytes."""
    while start < end:
        match = _BETWEEN.search(data, min(start + _BLOCK, end), end)
        stop = match.start() + 1 if match else end
        text = b"[" + data[start:stop] + b"]"
        try:
            part = _without_polygons(text) or lookup.from_json(text)
        except (
            ValueError,
            RecursionError,
        ):  # cut inside an annotation that holds objects of its own
            part, match = _remaining(file, data[start:end]), None
        yield part
        if hasattr(data, "madvise"):
            data.madvise(mmap.MADV_DONTNEED)  # else all that was read counts as used memory
        start = match.end() if match else end


def _without_polygons(text):
    """The annotations of a text whose boxes make their polygons needless; else None."""
    try:
        part = lookup.from_json(_POLYGONS.sub(b"", text))
        return part if all(map(_BOXED, part)) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _remaining(file, text):
    try:
        return lookup.from_json(b"[" + text + b"]")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not readable as JSON: 'annotations': {error}") from None

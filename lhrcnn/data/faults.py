"""Images that cannot be read as annotated."""

import concurrent.futures
import re

from lhrcnn.data import headers
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError

_THREADS = 8


def image_faults(records, deep=False):
    """For each record the `Problem` of its image file, or None.

    Headers are read, and files that do not end as they should are decoded; `deep` decodes all."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda record: _image_fault(record, deep), records))


def find_unreadable(records):
    """A line for each record whose image is missing, not decodable or of another size."""
    return [fault.text for fault in image_faults(records, deep=True) if fault]


def load_image(record):
    """The image of a record, uint8 [H, W, 3].

    Raises DataError (path, reason, image id) when it is not readable as annotated."""
    import tensorflow as tf  # not needed to look at headers

    from lhrcnn.data.images import decode_image

    try:
        with open(record.path, "rb") as file:
            contents = file.read()
        image = decode_image(tf.constant(contents))
    except OSError as error:
        raise DataError(f"{record.path}: {error.strerror or error}{_id(record)}") from None
    except tf.errors.OpError as error:
        raise DataError(f"{record.path}: not decodable: {_reason(error)}{_id(record)}") from None
    fault = _size_fault(record, *image.shape[:2], headers.orientation(contents))
    if fault:
        raise DataError(fault)
    return image


def _image_fault(record, deep):
    try:
        header = headers.read_header(record.path)
        fault = _size_fault(record, header.height, header.width, header.orientation)
        if fault:
            return Problem.error("image of another size than annotated", fault)
        if deep or not headers.looks_whole(record.path):
            load_image(record)
    except DataError as error:
        lead = "" if "(image id" in str(error) else _id(record)
        return Problem.warning("unreadable image", f"{error}{lead}")
    return None


def _size_fault(record, height, width, orientation):
    """What is wrong where an image of a record is height x width px as shown; else empty."""
    if (record.height, record.width) in ((height, width), (0, 0)):
        return ""
    turned = (record.height, record.width) == (width, height) and orientation >= 5
    hint = "; EXIF turns it, and it is annotated as stored" if turned else ""
    return (
        f"{record.path}: the image is {height} x {width} px (height x width, as shown), its "
        f"annotation says {record.height} x {record.width}{hint}{_id(record)}"
    )


def _id(record):
    return f" (image id {record.shown_id})"


def _reason(error):
    """The sentence in a TensorFlow error, without node names."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]( name:.*)?", "", error.message)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__

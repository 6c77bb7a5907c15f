"""Images that cannot be read as annotated."""

import concurrent.futures

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


def load_image(record, accurate_jpeg=False):
    """The image of a record, uint8 [H, W, 3].

    Raises DataError (path, reason, image id) when it is not readable as annotated."""
    from lhrcnn.data.decoding import read_image  # TensorFlow is not needed to look at headers

    try:
        image = read_image(record.path, accurate_jpeg)
        fault = size_fault(record, *image.shape[:2], headers.read_header(record.path).orientation)
    except DataError as error:
        raise DataError(f"{error}{_id(record)}") from None
    if fault:
        raise DataError(fault)
    return image


def _image_fault(record, deep):
    try:
        header = headers.read_header(record.path)
        fault = size_fault(record, header.height, header.width, header.orientation)
        if fault:
            return Problem.error("image of another size than annotated", fault)
        if deep or not headers.looks_whole(record.path):
            load_image(record)
    except DataError as error:
        lead = "" if "(image id" in str(error) else _id(record)
        return Problem.warning("unreadable image", f"{error}{lead}")
    return None


def size_fault(record, height, width, orientation=1):
    """What is wrong where an image of a record is height x width px as shown; else empty.

    orientation: what EXIF says, for a hint."""
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

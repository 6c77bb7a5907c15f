"""Images that cannot be read as annotated."""

import concurrent.futures
import re

import tensorflow as tf

from lhrcnn.data.images import decode_image
from lhrcnn.errors import DataError

_THREADS = 8


def image_faults(records):
    """For each record per line `path: reason`, or "" when its image decodes to the annotated size. Decodes every image."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(_image_fault, records))


def find_unreadable(records):
    """A line `path: reason` for each record whose image is missing, not decodable or of another size than annotated."""
    return [fault for fault in image_faults(records) if fault]


def load_image(record):
    """The image of a record, uint8 [H, W, 3]. Raises DataError (path, reason, image id) when it is not readable as annotated."""
    try:
        with open(record.path, "rb") as file:
            image = decode_image(tf.constant(file.read()))
    except OSError as error:
        raise DataError(
            f"{record.path}: {error.strerror or error} (image id {record.image_id})"
        ) from None
    except tf.errors.OpError as error:
        raise DataError(
            f"{record.path}: not decodable: {_reason(error)} (image id {record.image_id})"
        ) from None
    height, width = image.shape[:2]
    if (record.height, record.width) not in ((height, width), (0, 0)):
        raise DataError(
            f"{record.path}: the image is {height} x {width} px (height x width, as shown), its annotation says "
            f"{record.height} x {record.width} (image id {record.image_id})"
        )
    return image


def _image_fault(record):
    try:
        load_image(record)
    except DataError as error:
        return str(error)
    return ""


def _reason(error):
    """The sentence in a TensorFlow error, without node names."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]( name:.*)?", "", error.message)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__

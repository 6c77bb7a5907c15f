"""What every reader shares: checking one image's objects, and the image's size from its header.

Faults are lines of text appended to a list; what is faulty is left out, and the caller decides whether that is an error.
"""

import dataclasses
import os

import numpy as np
from PIL import Image, UnidentifiedImageError

from lhrcnn.data.schema import Record
from lhrcnn.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
EXIF_ORIENTATION = 0x0112
# Annotation tools round outwards: a box may stick out by this much and is clipped without a word.
OVERHANG_PX, OVERHANG_SHARE = 2.0, 0.01


def make_record(image_id, path, size, objects, where, problems, unlabelled=()):
    """A `Record` of the sound objects of an image; a line for each other one is appended to `problems`.

    size: (height, width) px; objects: dict of parallel lists `boxes` (ymin, xmin, ymax, xmax), `classes`, `ignore`, `names`
    and `areas` (px^2, None: the box's); where: text that leads a message; unlabelled: as in `Record`. Boxes further outside the image than rounding
    explains are clipped and reported; reversed, empty, non-finite and wholly outside ones are dropped and reported."""
    height, width = size
    boxes = np.asarray(objects["boxes"], np.float64).reshape(-1, 4)
    corner = np.array([height, width, height, width], np.float64)
    clipped = np.clip(boxes, 0, corner)
    faulty = ~(np.all(clipped[:, 2:] > clipped[:, :2], axis=1) & np.all(np.isfinite(boxes), axis=1))
    overhang = np.max(
        np.abs(boxes - clipped) - np.maximum(OVERHANG_PX, OVERHANG_SHARE * corner),
        axis=1,
        initial=-np.inf,
    )
    for i in np.flatnonzero(faulty | (overhang > 0)):
        fault = _box_fault(boxes[i], height, width) + ("" if faulty[i] else ", clipped")
        problems.append(
            f"{where}: box (ymin, xmin, ymax, xmax) = ({', '.join(f'{v:g}' for v in boxes[i])}) "
            f"of '{objects['names'][i]}' is {fault}"
        )
    keep = np.flatnonzero(~faulty)
    clipped = clipped[keep].astype(np.float32)
    own_areas = (clipped[:, 2] - clipped[:, 0]) * (clipped[:, 3] - clipped[:, 1])
    areas = [
        own_areas[i] if objects["areas"][k] is None else objects["areas"][k]
        for i, k in enumerate(keep)
    ]
    return Record(
        image_id=image_id,
        path=path,
        height=height,
        width=width,
        boxes=clipped,
        classes=np.asarray(objects["classes"], np.int32)[keep],
        ignore=np.asarray(objects["ignore"], bool)[keep],
        areas=np.asarray(areas, np.float32),
        unlabelled=unlabelled,
    )


def without_background(record):
    """The `Record` with an ignored box over the whole image, so that no part of it can be background, in either stage."""
    box = np.array([[0, 0, record.height, record.width]], np.float32)
    return dataclasses.replace(
        record,
        boxes=np.concatenate([record.boxes, box]),
        classes=np.append(record.classes, np.int32(0)),
        ignore=np.append(record.ignore, True),
        areas=np.append(record.areas, box[0, 2] * box[0, 3]),
    )


def _box_fault(box, height, width):
    if not np.all(np.isfinite(box)):
        return "not finite"
    if np.any(box[2:] < box[:2]):
        return "reversed (a maximum below its minimum)"
    if np.any(box[2:] == box[:2]):
        return "empty (no height or no width)"
    return f"outside the image of {height:g} x {width:g} px (height x width)"


def image_size(path):
    """(height, width) in px of an image file as shown, after EXIF rotation, from its header. Raises DataError."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.format == "JPEG" and image.getexif().get(EXIF_ORIENTATION, 1) in (
                5,
                6,
                7,
                8,
            )
    except FileNotFoundError:
        raise DataError(f"{path}: no such image file") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not readable as an image: {error}") from None
    return (width, height) if turned else (height, width)


def drop_missing(records, problems):
    """The records whose image files exist; a line for each other one is appended to `problems`."""
    folders = {}
    for folder in {os.path.dirname(record.path) for record in records}:
        try:
            folders[folder] = set(
                os.listdir(folder)
            )  # one listing is far cheaper than a look at each file
        except OSError:
            folders[folder] = set()
    kept = []
    for record in records:
        folder, name = os.path.split(record.path)
        if name in folders[folder]:
            kept.append(record)
        else:
            problems.append(f"{record.path}: no such image file (image id {record.image_id})")
    return kept

"""What every reader shares: checking the objects of an image, and making a `Dataset` of images.

What is faulty is left out, and a `Problem` of it is appended to a list.
"""

import dataclasses
import os
import typing

import numpy as np

from lhrcnn.data.schema import Dataset, Problem, Record

# Annotation tools round outwards: a box may stick out by this much and is clipped without a word.
OVERHANG_PX, OVERHANG_SHARE = 2.0, 0.01


class LabelledBox(typing.NamedTuple):
    """An object as a reader finds it."""

    name: str  # of its class
    box: tuple  # (ymin, xmin, ymax, xmax) px of the image as shown, half-open
    ignore: bool = False
    area: typing.Optional[float] = None  # px^2; None: the box's


class LabelledImage(typing.NamedTuple):
    """An image as a reader finds it."""

    path: str
    size: tuple  # (height, width) px of the image as shown
    boxes: list  # of LabelledBox
    where: str = ""  # leads a message about it: "FILE: line 3"; empty: the path
    source_id: typing.Any = None  # the id of the image in the user's files; None: there is none


def make_dataset(name, images, problems, class_names=None, category_ids=None):
    """The `Dataset` of a list of `LabelledImage`, the images in their order.

    class_names: the classes in order, None: the sorted names of all boxes; category_ids: their
    numbers in the user's files, None: 1...K. A box of another class is left out as an error."""
    if class_names is None:
        class_names = sorted({box.name for image in images for box in image.boxes})
    class_of = {class_name: k for k, class_name in enumerate(class_names)}
    ids = own_image_ids([image.source_id for image in images])
    records = []
    for (image_id, source_id), image in zip(ids, images):
        where, objects = image.where or image.path, no_objects()
        for box in image.boxes:
            if box.name in class_of:
                add_object(objects, box.box, class_of[box.name], box.name, box.ignore, box.area)
                continue
            text = f"{where}: '{box.name}' is none of the {len(class_names)} classes; left out"
            problems.append(Problem.error("unknown class", text))
        record = make_record(image_id, image.path, image.size, objects, where, problems)
        records.append(dataclasses.replace(record, source_id=source_id))
    ignored = sum(int(record.ignore.sum()) for record in records)
    if ignored:
        text = f"{name}: {ignored} objects are marked as to be ignored; neither learnt nor counted"
        problems.append(Problem.note("ignored objects", text))
    category_ids = category_ids or list(range(1, len(class_names) + 1))
    return Dataset(name, records, list(class_names), list(category_ids), problems)


def own_image_ids(source_ids):
    """[(image_id, source_id)] as in `Record` for the ids of a data set's images in the user's
    files.

    They are kept where all are whole numbers from 0 below 2^53, which every evaluator tells apart,
    and no two the same; else images are numbered from 1."""
    plain = all(type(value) is int and 0 <= value < 2**53 for value in source_ids)
    if plain and len(set(source_ids)) == len(source_ids):
        return [(value, None) for value in source_ids]
    return list(enumerate(source_ids, start=1))


def no_objects():
    """The empty `objects` of `make_record`."""
    return {"boxes": [], "classes": [], "ignore": [], "names": [], "areas": []}


def add_object(objects, box, k, name, ignore=False, area=None):
    """Appends an object of class k to the `objects` of `make_record`."""
    for key, value in zip(objects, (box, k, ignore, name, area)):
        objects[key].append(value)


def make_record(image_id, path, size, objects, where, problems, unlabelled=()):
    """A `Record` of the sound objects of an image; a `Problem` for each other one.

    size: (height, width) px; objects: dict of parallel lists `boxes` (ymin, xmin, ymax, xmax),
    `classes`, `ignore`, `names` and `areas` (px^2, None: the box's); where: leads a message;
    unlabelled: as in `Record`. Empty boxes and those wholly outside are dropped, those further
    outside than rounding explains clipped: warnings. Reversed and non-finite ones are errors."""
    boxes = np.asarray(objects["boxes"], np.float64).reshape(-1, 4)
    clipped, faulty, reported = _checked(boxes, np.broadcast_to(size, [len(boxes), 2]))
    for i in np.flatnonzero(reported):
        problems.append(_box_problem(where, boxes[i], objects["names"][i], size, faulty[i]))
    keep = np.flatnonzero(~faulty)
    clipped = clipped[keep].astype(np.float32)
    own_areas = _areas(clipped)
    areas = [
        own_areas[i] if objects["areas"][k] is None else objects["areas"][k]
        for i, k in enumerate(keep)
    ]
    return Record(
        image_id=image_id,
        path=path,
        height=size[0],
        width=size[1],
        boxes=clipped,
        classes=np.asarray(objects["classes"], np.int32)[keep],
        ignore=np.asarray(objects["ignore"], bool)[keep],
        areas=np.asarray(areas, np.float32),
        unlabelled=unlabelled,
    )


def make_records(ids, images, objects, class_names, problems):
    """The `Record`s of all images of a data set: `make_record` for columns, for large ones.

    ids: [(image_id, source_id)]; images: [(path, (height, width) or None, message lead)], those
    without a size are left out; objects: arrays `rows` [n] of their images, `boxes` [n, 4],
    `classes`, `ignore` and `areas` [n], NaN: the box's."""
    sizes = np.array([size or (0, 0) for _, size, _ in images], np.int64).reshape(-1, 2)
    order = np.argsort(objects["rows"], kind="stable")
    order = order[sizes[objects["rows"][order], 0] > 0]
    rows, boxes = objects["rows"][order], objects["boxes"][order]
    clipped, faulty, reported = _checked(boxes, sizes[rows])
    for i in np.flatnonzero(reported):
        path, size, where = images[rows[i]]
        name = class_names[objects["classes"][order[i]]]
        problems.append(_box_problem(where, boxes[i], name, size, faulty[i]))
    order, rows, boxes = order[~faulty], rows[~faulty], clipped[~faulty].astype(np.float32)
    areas = objects["areas"][order].astype(np.float32)
    areas = np.where(np.isnan(areas), _areas(boxes), areas)
    columns = boxes, objects["classes"][order].astype(np.int32), objects["ignore"][order], areas
    ends = np.cumsum(np.bincount(rows, minlength=len(images))).tolist()
    records, start = [], 0
    for (image_id, source_id), (path, size, _), end in zip(ids, images, ends):
        if size:
            own = [column[start:end] for column in columns]
            records.append(Record(image_id, path, *size, *own, source_id=source_id))
        start = end
    return records


def _checked(boxes, sizes):
    """(boxes clipped to their images, which are faulty, which are to be reported) of boxes [n, 4].

    sizes [n, 2]: of the image of each."""
    corner = np.concatenate([sizes, sizes], axis=1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        clipped = np.clip(boxes, 0, corner)
        faulty = ~(np.isfinite(boxes) & np.isfinite(clipped)).all(axis=1)
        faulty |= ~(clipped[:, 2:] > clipped[:, :2]).all(axis=1)
        overhang = np.abs(boxes - clipped) > np.maximum(OVERHANG_PX, OVERHANG_SHARE * corner)
    return clipped, faulty, faulty | overhang.any(axis=1)


def _areas(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _box_problem(where, box, name, size, dropped):
    severity, kind, fault = _box_fault(box, size, dropped)
    shown = ", ".join(f"{value:g}" for value in box)
    text = f"{where}: box (ymin, xmin, ymax, xmax) = ({shown}) of '{name}' {fault}"
    return Problem(severity, kind, text)


def without_background(record):
    """The `Record` with an ignored box over the whole image, so that no part of it can be
    background, in either stage."""
    box = np.array([[0, 0, record.height, record.width]], np.float32)
    return dataclasses.replace(
        record,
        boxes=np.concatenate([record.boxes, box]),
        classes=np.append(record.classes, np.int32(0)),
        ignore=np.append(record.ignore, True),
        areas=np.append(record.areas, box[0, 2] * box[0, 3]),
    )


def _box_fault(box, size, dropped):
    """(severity, kind, what is said of it) of a box that is dropped or clipped."""
    if not np.all(np.isfinite(box)):
        return "error", "box that is not finite", "is not finite; left out"
    if np.any(box[2:] < box[:2]):
        fault = "is reversed (a maximum below its minimum); left out"
        return "error", "reversed box", fault
    if np.any(box[2:] == box[:2]):
        return "warning", "empty box", "is empty (no height or no width); dropped"
    image = f"outside the image of {size[0]:g} x {size[1]:g} px (height x width)"
    if dropped:
        return "warning", "box outside the image", f"is {image}; dropped"
    return "warning", "box beyond the border", f"is partly {image}; clipped"


def image_problem(path, text):
    """The `Problem` of an image whose header is not to be read: an error where there is no file."""
    if os.path.exists(path):
        return Problem.warning("unreadable image", text)
    return Problem.error("missing image", text)


def drop_missing(records, problems):
    """The records whose image files exist and can be named; each other one is an error in
    `problems`."""
    folders = {}
    for folder in {record.path.rpartition("/")[0] for record in records}:
        try:
            folders[folder] = set(os.listdir(folder or "."))  # far cheaper than a look at each file
        except OSError:
            folders[folder] = set()
    kept = []
    for record in records:
        folder, _, name = record.path.rpartition("/")
        if not _is_utf8(record.path):
            text = (
                f"{record.path}: a name that is not in UTF-8, which TensorFlow cannot open; rename"
            )
            problems.append(Problem.error("file name not in UTF-8", text))
        elif name in folders[folder]:
            kept.append(record)
        else:
            text = f"{record.path}: no such image file (image id {record.shown_id})"
            problems.append(Problem.error("missing image", text))
    return kept


def _is_utf8(name):
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False

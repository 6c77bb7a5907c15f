"""Finding everything that is wrong with a data set before it is used."""
import concurrent.futures
import re

import numpy as np
import tensorflow as tf

from lhrcnn.data import read_dataset, restrict_classes
from lhrcnn.data.image import decode_image
from lhrcnn.data.schema import DataError

_THREADS = 8


def find_problems(data_config, splits):
    """A line for every problem of these splits; faults of the data never raise.

    Beside what readers report (missing files, wrong boxes, unknown or repeated ids) every picture is decoded and compared with
    its annotated size; objects that stand twice, splits without pictures or objects, and class lists that differ are named."""
    problems, class_names = [], {}
    for split in dict.fromkeys(splits):
        try:
            dataset = read_dataset(data_config, split)
            problems.extend(dataset.problems)
            dataset = restrict_classes(dataset, data_config.classes)
        except DataError as error:
            problems.append(str(error))
            continue
        class_names[split] = dataset.class_names
        problems.extend(find_unreadable(dataset.records))
        problems.extend(_repeated_objects(dataset))
        if not dataset.records:
            problems.append(f"{dataset.name}: no usable picture")
        elif not any(len(record.boxes) for record in dataset.records):
            problems.append(f"{dataset.name}: no picture shows an object of {', '.join(dataset.class_names[:20])}")
    first = next(iter(class_names), None)
    problems.extend(f"split '{split}' has the classes {', '.join(names)}, but split '{first}' has {', '.join(class_names[first])}"
                    for split, names in class_names.items() if names != class_names[first])
    return problems


def find_unreadable(records):
    """A line `path: reason` for each record whose picture is missing, not decodable or of another size than annotated."""
    return [fault for fault in picture_faults(records) if fault]


def picture_faults(records):
    """For each record a line `path: reason`, or "" when its picture decodes to the annotated size. Decodes every picture."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(_picture_fault, records))


def load_picture(record):
    """The picture of a record, uint8 [H, W, 3]. Raises DataError (path, reason, image id) when it is not readable as annotated."""
    try:
        with open(record.path, "rb") as file:
            image = decode_image(tf.constant(file.read()))
    except OSError as error:
        raise DataError(f"{record.path}: {error.strerror or error} (image id {record.image_id})") from None
    except tf.errors.OpError as error:
        raise DataError(f"{record.path}: not decodable: {_reason(error)} (image id {record.image_id})") from None
    height, width = image.shape[:2]
    if (record.height, record.width) not in ((height, width), (0, 0)):
        raise DataError(f"{record.path}: the picture is {height} x {width} px (height x width, as shown), its annotation says "
                        f"{record.height} x {record.width} (image id {record.image_id})")
    return image


def _picture_fault(record):
    try:
        load_picture(record)
    except DataError as error:
        return str(error)
    return ""


def _reason(error):
    """The sentence in a TensorFlow error, without node names."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]( name:.*)?", "", error.message)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


def _repeated_objects(dataset):
    """A line for each picture in which the same box of the same class stands more than once."""
    lines = []
    for record in dataset.records:
        rows = np.column_stack([record.boxes, record.classes])
        unique, counts = np.unique(rows, axis=0, return_counts=True)
        for row in unique[counts > 1]:
            lines.append(f"{dataset.name}: image id {record.image_id} ({record.path}): box (ymin, xmin, ymax, xmax) = "
                         f"({', '.join(f'{v:g}' for v in row[:4])}) of '{dataset.class_names[int(row[4])]}' stands more than once")
    return lines

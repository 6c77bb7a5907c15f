"""Finding everything that is wrong with a data set before it is used."""

import numpy as np

from lhrcnn.data.datasets import read_dataset, restrict_classes
from lhrcnn.data.faults import find_unreadable
from lhrcnn.errors import DataError


def find_problems(data_config, splits):
    """A line for every problem of these splits; faults of the data never raise.

    Beside what readers report (missing files, wrong boxes, unknown or repeated ids) every image is decoded and compared with
    its annotated size; objects that stand twice, splits without images or objects, and class lists that differ are named."""
    problems, class_names = [], {}
    for split in dict.fromkeys(splits):
        try:
            dataset = read_dataset(data_config, split)
            problems.extend(map(str, dataset.problems))
            dataset = restrict_classes(dataset, data_config.classes)
        except DataError as error:
            problems.append(str(error))
            continue
        class_names[split] = dataset.class_names
        problems.extend(find_unreadable(dataset.records))
        problems.extend(_repeated_objects(dataset))
        if not dataset.records:
            problems.append(f"{dataset.name}: no usable image")
        elif not any(len(record.boxes) for record in dataset.records):
            problems.append(
                f"{dataset.name}: no image shows an object of {', '.join(dataset.class_names[:20])}"
            )
    first = next(iter(class_names), None)
    problems.extend(
        f"split '{split}' has the classes {', '.join(names)}, but split '{first}' has {', '.join(class_names[first])}"
        for split, names in class_names.items()
        if names != class_names[first]
    )
    return problems


def _repeated_objects(dataset):
    """A line for each image in which the same box of the same class stands more than once."""
    lines = []
    for record in dataset.records:
        rows = np.column_stack([record.boxes, record.classes])
        unique, counts = np.unique(rows, axis=0, return_counts=True)
        for row in unique[counts > 1]:
            lines.append(
                f"{dataset.name}: image id {record.image_id} ({record.path}): box (ymin, xmin, ymax, xmax) = "
                f"({', '.join(f'{v:g}' for v in row[:4])}) of '{dataset.class_names[int(row[4])]}' stands more than once"
            )
    return lines

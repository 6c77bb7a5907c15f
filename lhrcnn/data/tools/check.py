"""Finding everything that is wrong with a data set before it is used."""

import collections

import numpy as np

from lhrcnn.data.datasets import read_dataset, restrict_classes
from lhrcnn.data.faults import image_faults
from lhrcnn.data.schema import Problem
from lhrcnn.data.tools.content import same_images
from lhrcnn.errors import DataError

_FEW = 5  # boxes or images from which on a pattern is one


def find_problems(data_config, splits, deep=False):
    """The `Problem`s of these splits; faults of the data never raise.

    Beside what readers report (missing files, wrong boxes, unknown or repeated ids): images whose
    header is not readable or has another size than annotated (`deep` decodes them all), objects
    that stand twice, splits without images or objects, class lists that differ, names that differ
    in case or blanks alone, classes without objects or with one box only, images that stand twice,
    boxes that end one pixel early."""
    problems, datasets = [], {}
    for split in dict.fromkeys(splits):
        try:
            dataset = read_dataset(data_config, split)
            known = set(problems)  # splits drawn from one set share what is wrong with it
            problems.extend(problem for problem in dataset.problems if problem not in known)
            dataset = restrict_classes(dataset, data_config.classes)
        except DataError as error:
            problem = Problem.error("split that cannot be read", str(error))
            problems.extend([problem] if problem not in problems else [])
            continue
        datasets[split] = dataset
        problems.extend(filter(None, image_faults(dataset.records, deep)))
        problems.extend(_repeated_objects(dataset))
        problems.extend(_of_objects(dataset))
    problems.extend(_of_classes(datasets))
    problems.extend(_same_images(datasets))
    return problems


def _repeated_objects(dataset):
    """A warning for each box of an image that stands more than once with one class."""
    for record in dataset.records:
        if len(record.boxes) < 2:
            continue
        rows = np.column_stack([record.boxes, record.classes])
        unique, counts = np.unique(rows, axis=0, return_counts=True)
        for row in unique[counts > 1]:
            box, name = ", ".join(f"{v:g}" for v in row[:4]), dataset.class_names[int(row[4])]
            text = (
                f"{dataset.name}: image id {record.shown_id} ({record.path}): box (ymin, xmin, "
                f"ymax, xmax) = ({box}) of '{name}' stands more than once"
            )
            yield Problem.warning("repeated object", text)


def _of_objects(dataset):
    """Problems of a split's objects taken together."""
    name, records = dataset.name, dataset.records
    if not records:
        yield Problem.error("split without images", f"{name}: no usable image")
        return
    boxes = np.concatenate([record.boxes for record in records])
    ignore = np.concatenate([record.ignore for record in records])
    classes = np.concatenate([record.classes for record in records])
    if not len(boxes):
        text = f"{name}: no image shows an object; classes: {', '.join(dataset.class_names[:20])}"
        yield Problem.error("split without objects", text)
        return
    if ignore.all():
        text = f"{name}: all {len(boxes)} objects are crowds, difficult or to be ignored"
        yield Problem.warning("all objects ignored", text)
    for k in np.unique(classes):
        own = boxes[classes == k]
        if len(own) >= _FEW and (own == own[0]).all() and own.any():
            box = ", ".join(f"{value:g}" for value in own[0])
            text = f"{name}: all {len(own)} boxes of '{dataset.class_names[k]}' are ({box})"
            yield Problem.warning("class of one box", text)
    counts = [len(record.boxes) for record in records]
    ends = np.repeat([(record.height, record.width) for record in records], counts, axis=0)
    early = int((boxes[:, 2:] == ends - 1).sum())
    if early >= _FEW and not (boxes[:, 2:] == ends).any():
        text = (
            f"{name}: {early} boxes end one pixel before their images, and none with them: corners "
            "may be inclusive, or 0-based (data.voc_corners for VOC's files)"
        )
        yield Problem.note("one-pixel offset", text)


def _of_classes(datasets):
    """Problems of the class names of all splits."""
    first = next(iter(datasets), None)
    for split, dataset in datasets.items():
        names, others = dataset.class_names, datasets[first].class_names
        text = f"split '{split}' has the classes {', '.join(names)}, but split '{first}' has "
        text += ", ".join(others)
        if sorted(names) != sorted(others):
            yield Problem.error("other classes in another split", text)
        elif names != others:
            text += f"; that of '{first}' is the order of a training, classes go by their names"
            yield Problem.note("other order of classes in another split", text)
    names = datasets[first].class_names if datasets else []
    same = collections.defaultdict(list)
    for name in names:
        same["".join(name.split()).casefold()].append(name)
    for alike in same.values():
        if len(alike) > 1:
            text = f"{datasets[first].name}: the classes {', '.join(map(repr, alike))} differ in "
            yield Problem.warning("classes of one name", text + "case or blanks alone")
    seen = {
        dataset.class_names[k]
        for dataset in datasets.values()
        for record in dataset.records
        for k in record.classes.tolist()
    }
    for name in names:
        if seen and name not in seen:
            text = f"{datasets[first].name}: no object of class '{name}' in {', '.join(datasets)}"
            yield Problem.note("class without objects", text)


def _same_images(datasets):
    """A problem for each image that stands twice, by the content of its file."""
    for (split, path), *others in same_images(datasets):
        for other_split, other in others:
            where = "" if other == path else f" as {path}"
            if other_split == split:
                text = f"{other}: in split '{split}' twice{where}"
                yield Problem.note("image twice in a split", text)
            else:
                text = f"{other}: in split '{other_split}', and in split '{split}'{where}"
                yield Problem.warning("image in two splits", text)

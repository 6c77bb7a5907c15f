"""Writes a data set in the layout of COCO, VOC, YOLO or labelme, and says what that cannot hold.

What is written is read back by the readers of these formats with the same boxes, to 1e-6 of a side.
"""

import json
import os
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import yaml

from lhrcnn.data.readers.voc_xml import CORNERS


def convert(datasets, format_, output, copy_images=True):
    """Writes {split: Dataset} into a files.Output in a format of WRITERS; returns lines of losses.

    Images are copied; two of one name become `a.jpg` and `a_2.jpg`. Raises OSError for a file
    that lhrcnn did not write."""
    writer, losses_of, place = WRITERS[format_]
    lost = losses_of(datasets)
    datasets = _numbered_alike(datasets) if format_ == "yolo" else datasets
    names = _file_names(datasets, shared="{split}" not in place)
    for split, dataset in datasets.items():
        paths = [place.format(split=split, name=name) for name in names[split]]
        if copy_images:
            for record, path in zip(dataset.records, paths):
                with open(record.path, "rb") as source, output.writing(path) as target:
                    shutil.copyfileobj(source, target)
        writer(output, split, dataset, paths)
    if format_ == "yolo":
        _write_data_file(output, datasets)
    return lost + _renamed(datasets, names)


def _numbered_alike(datasets):
    """The same with the classes of all of them in each: YOLO has one list for all splits."""
    names = list(dict.fromkeys(name for each in datasets.values() for name in each.class_names))
    numbers = range(1, len(names) + 1)
    return {split: each.with_classes(names, numbers) for split, each in datasets.items()}


def _file_names(datasets, shared):
    """{split: a file name for each image}; shared: splits lie in one folder, so all differ."""
    names, taken = {}, set()
    for split, dataset in datasets.items():
        taken = taken if shared else set()
        names[split] = []
        for record in dataset.records:
            stem, suffix = os.path.splitext(os.path.basename(record.path))
            number, free = 1, stem
            while free.casefold() in taken:
                number += 1
                free = f"{stem}_{number}"
            taken.add(free.casefold())
            names[split].append(free + suffix)
    return names


def _renamed(datasets, names):
    pairs = [
        (os.path.basename(record.path), name)
        for split, dataset in datasets.items()
        for record, name in zip(dataset.records, names[split])
        if os.path.basename(record.path) != name
    ]
    return (
        [f"the names of {len(pairs)} images, such as {pairs[0][0]}: {pairs[0][1]}"] if pairs else []
    )


def _write_coco(output, split, dataset, paths):
    images, annotations = [], []
    for record, path in zip(dataset.records, paths):
        name = path.partition("/")[2]
        image = {"id": record.image_id, "file_name": name}
        images.append({**image, "height": record.height, "width": record.width})
        for (ymin, xmin, ymax, xmax), k, ignore, area, score in _objects(record):
            number = len(annotations) + 1  # from 1: evaluators take 0 for "no match"
            ids = {"image_id": record.image_id, "category_id": dataset.category_ids[k]}
            bbox = [xmin, ymin, xmax - xmin, ymax - ymin]
            place = {"bbox": bbox, "area": area, "iscrowd": int(ignore)}
            annotations.append({"id": number, **ids, **place, **score})
    pairs = zip(dataset.category_ids, dataset.class_names)
    categories = [{"id": number, "name": name} for number, name in pairs]
    content = {"images": images, "annotations": annotations, "categories": categories}
    output.write(f"annotations/instances_{split}.json", json.dumps(content))


def _objects(record):
    """(box, class, ignore, area, {"score"} or {}) of each object, in Python's numbers."""
    scores = [{}] * len(record.boxes)
    if record.scores is not None:
        scores = [{"score": round(float(score), 6)} for score in record.scores]
    columns = record.boxes, record.classes, record.ignore, record.areas
    return zip(*(column.tolist() for column in columns), scores)


def _write_voc(output, split, dataset, paths):
    """Corners 1-based and inclusive, with decimals; ignored objects are `difficult`."""
    stems = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    for record, path, stem in zip(dataset.records, paths, stems):
        text = voc_xml(record, os.path.basename(path), dataset.class_names, "one_based")
        output.write(f"Annotations/{stem}.xml", text)
    output.write(f"ImageSets/Main/{split}.txt", "".join(f"{stem}\n" for stem in stems))


def voc_xml(record, filename, class_names, corners):
    """The annotation file of a Record as VOC has it, with corners of a kind of `CORNERS`."""
    low, high = CORNERS[corners]
    root = ElementTree.Element("annotation")
    _add(root, "filename", filename)
    size = _add(root, "size")
    for key, value in (("width", record.width), ("height", record.height), ("depth", 3)):
        _add(size, key, value)
    for (ymin, xmin, ymax, xmax), k, ignore, *_ in _objects(record):
        element = _add(root, "object")
        _add(element, "name", class_names[k])
        _add(element, "difficult", int(ignore))
        bounds = _add(element, "bndbox")
        moved = xmin - low, ymin - low, xmax - high, ymax - high
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), moved):
            _add(bounds, key, f"{value:.10g}")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def _add(parent, tag, text=None):
    element = ElementTree.SubElement(parent, tag)
    element.text = None if text is None else str(text)
    return element


def _write_yolo(output, split, dataset, paths):
    """Without ignored objects, for which YOLO has no mark."""
    for record, path in zip(dataset.records, paths):
        shares = record.boxes.astype(float) / np.tile([record.height, record.width], 2)
        centers, sizes = (shares[:, :2] + shares[:, 2:]) / 2, shares[:, 2:] - shares[:, :2]
        numbers = np.concatenate([centers[:, ::-1], sizes[:, ::-1]], axis=1)  # x before y
        lines = [
            f"{k} {' '.join(f'{value:.9g}' for value in row)}\n"
            for row, k, ignore in zip(numbers, record.classes, record.ignore)
            if not ignore
        ]
        stem = os.path.splitext(os.path.basename(path))[0]
        output.write(f"labels/{split}/{stem}.txt", "".join(lines))


def _write_data_file(output, datasets):
    names = next(iter(datasets.values())).class_names
    content = {split: f"images/{split}" for split in datasets}
    content.setdefault("train", next(iter(content.values())))  # ultralytics wants one of that name
    text = yaml.safe_dump(
        {**content, "names": dict(enumerate(names))}, sort_keys=False, allow_unicode=True
    )
    output.write("data.yaml", text)


def _write_labelme(output, split, dataset, paths):
    """A JSON file beside each image; ignored objects have the flag `ignore`."""
    for record, path in zip(dataset.records, paths):
        shapes = []
        for (ymin, xmin, ymax, xmax), k, ignore, _, score in _objects(record):
            what = {"label": dataset.class_names[k], "points": [[xmin, ymin], [xmax, ymax]]}
            flags = {"ignore": True} if ignore else {}
            kind = {"group_id": None, "shape_type": "rectangle", "flags": flags}
            shapes.append({**what, **kind, **score})
        content = {
            "version": "5.4.1",
            "flags": {},
            "shapes": shapes,
            "imagePath": os.path.basename(path),
            "imageData": None,
            "imageHeight": record.height,
            "imageWidth": record.width,
        }
        output.write(os.path.splitext(path)[0] + ".json", json.dumps(content))


def _records(datasets):
    return [record for dataset in datasets.values() for record in dataset.records]


def _num_ignored(datasets):
    return sum(int(record.ignore.sum()) for record in _records(datasets))


def _lost_with_ids(datasets):
    """What no format but COCO holds: ids, and areas that are not the boxes'."""
    areas = 0
    for record in _records(datasets):
        sides = record.boxes[:, 2:].astype(float) - record.boxes[:, :2]
        areas += int(np.sum(~np.isclose(record.areas, sides.prod(axis=1), rtol=1e-3)))
    lost = [f"the areas of {areas} objects that are not their boxes'"] if areas else []
    ids = [number for dataset in datasets.values() for number in dataset.category_ids]
    return lost + ["the ids of images" + (" and classes" if ids and ids[0] != 1 else "")]


def _lost_in_coco(datasets):
    crowds = _num_ignored(datasets)
    named = sum(record.shown_id != record.image_id for record in _records(datasets))
    lost = [f"{crowds} ignored objects are crowds now, the only kind COCO has"] if crowds else []
    return lost + ([f"the ids of {named} images, which are no whole numbers"] if named else [])


def _lost_in_voc(datasets):
    sides = [record.boxes[:, 2:] - record.boxes[:, :2] for record in _records(datasets)]
    single = sum(int((own == 1).all(axis=1).sum()) for own in sides)
    text = f"{single} objects of one pixel: their corners coincide, which reads as an empty box"
    return ([text] if single else []) + _lost_with_ids(datasets)


def _lost_in_yolo(datasets):
    ignored = _num_ignored(datasets)
    text = f"{ignored} ignored objects: YOLO has no mark for them, they are background now"
    return ([text] if ignored else []) + _lost_with_ids(datasets)


# Name -> (writer of a split, what is lost, where an image goes).
WRITERS = {
    "coco": (_write_coco, _lost_in_coco, "{split}/{name}"),
    "voc": (_write_voc, _lost_in_voc, "JPEGImages/{name}"),
    "yolo": (_write_yolo, _lost_in_yolo, "images/{split}/{name}"),
    "labelme": (_write_labelme, _lost_with_ids, "{split}/{name}"),
}

"""Reader of COCO detection annotations: one JSON file a split, images in a folder.

Format: https://cocodataset.org/#format-data. Boxes there are (x, y, width, height) px.
"""

import json
import math
import os
import pathlib

from absl import logging

from lhrcnn.data.headers import image_size
from lhrcnn.data.readers.records import make_record
from lhrcnn.data.schema import Dataset, Problem
from lhrcnn.errors import DataError


def read(data_config, split, training=False):
    """The `Dataset` of a split (a name, or a .json file relative to the data folder) with a line in `problems` for each fault.

    Classes are the file's categories in the order of their ids. Crowd regions become `ignore`. Raises DataError when there is
    no annotation file, it is not COCO's format, or its categories contradict each other. `training` changes nothing here."""
    del training
    folder = pathlib.Path(data_config.dir)
    file = find_annotations(folder, split)
    content = _load(file)
    names, ids = _categories(content, file)
    problems = []
    images = _images(content, file, problems)
    objects = _objects(
        content,
        file,
        images,
        {category_id: k for k, category_id in enumerate(ids)},
        names,
        problems,
    )
    image_folder = find_image_folder(
        folder,
        split,
        file,
        data_config.image_dir,
        [image["file_name"] for image in images.values()],
    )
    records = []
    for image_id, image in images.items():
        where = f"{file}: image id {image_id} ({image['file_name']})"
        path = str(image_folder / image["file_name"])
        size = _size(image, path, where, problems)
        if size:
            records.append(make_record(image_id, path, size, objects[image_id], where, problems))
    return Dataset(
        name=f"{file}", records=records, class_names=names, category_ids=ids, problems=problems
    )


def find_annotations(folder, split):
    """Path of the annotation file of a split. Raises DataError listing what was tried and what is there."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such data folder; set data.dir or --data_dir")
    if split.endswith(".json"):
        tried = [folder / split]
    else:
        names = (
            f"annotations/instances_{split}.json",
            f"annotations/{split}.json",
            f"instances_{split}.json",
            f"{split}.json",
            f"{split}/_annotations.coco.json",
            "annotations/instances.json",
            "instances.json",
        )
        tried = [folder / name for name in names]
    for file in tried:
        if file.is_file():
            if not split.endswith(".json") and split not in str(file.relative_to(folder)):
                logging.warning(
                    "%s: no annotation file of split '%s'; taking %s for it",
                    folder,
                    split,
                    file.name,
                )
            return file
    found = sorted(
        str(p.relative_to(folder))
        for pattern in ("*.json", "*/*.json")
        for p in folder.glob(pattern)
    )
    raise DataError(
        f"{folder}: no annotation file for split '{split}'; tried {', '.join(str(p.relative_to(folder)) for p in tried)}; "
        f"JSON files there: {', '.join(found[:10]) or 'none'}. Name one of them as the split"
    )


def find_image_folder(folder, split, file, image_dir, file_names):
    """The folder in which images of an annotation file lie. Raises DataError listing what was tried."""
    if image_dir:
        if not (folder / image_dir).is_dir():
            raise DataError(f"{folder / image_dir}: no such image folder; correct data.image_dir")
        return folder / image_dir
    name = pathlib.Path(split).stem if split.endswith(".json") else split
    name = name[len("instances_") :] if name.startswith("instances_") else name
    tried = list(
        dict.fromkeys(
            [folder / name, folder / "images" / name, folder / "images", folder, file.parent]
        )
    )
    for candidate in tried:
        if any((candidate / file_name).is_file() for file_name in file_names[:100]):
            return candidate
    if not file_names:
        return folder
    raise DataError(
        f"{file}: none of its first images, such as '{file_names[0]}', is in {', '.join(map(str, tried))}; "
        "name their folder in data.image_dir"
    )


def _load(file):
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not readable as JSON: {error}") from None
    for key in ("images", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{file}: not a COCO detection file: no list under '{key}' at the top")
    for key in ("images", "annotations", "categories"):
        if not all(isinstance(entry, dict) for entry in content.setdefault(key, [])):
            raise DataError(
                f"{file}: not a COCO detection file: '{key}' has entries that are no objects {{...}}"
            )
    return content


def _categories(content, file):
    """(class names, category ids), sorted by id."""
    try:
        pairs = sorted(
            (int(category["id"]), str(category["name"])) for category in content["categories"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: each of 'categories' needs an integer 'id' and a 'name'; found otherwise: {error!r}"
        ) from None
    ids, names = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for what, values in (("id", ids), ("name", names)):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise DataError(
                f"{file}: category {what} {twice[0]!r} stands more than once in 'categories'; give each its own"
            )
    return names, ids


def _images(content, file, problems):
    """Sound image entries by id, in the file's order."""
    images, paths = {}, {}
    for entry in content["images"]:
        image_id, name = entry.get("id"), entry.get("file_name")
        if type(image_id) is not int or not isinstance(name, str) or not name:
            problems.append(
                Problem.error(
                    "bad image entry",
                    f"{file}: image entry with id {image_id!r} and file_name {name!r}: an integer and a text are needed",
                )
            )
        elif image_id in images:
            problems.append(
                Problem.error(
                    "repeated image",
                    f"{file}: image id {image_id} stands twice, for {images[image_id]['file_name']} and {name}; "
                    "the second is left out",
                )
            )
        elif name in paths:
            problems.append(
                Problem.error(
                    "repeated image",
                    f"{file}: image {name} stands twice, as image ids {paths[name]} and {image_id}; the second is left out",
                )
            )
        else:
            images[image_id], paths[name] = entry, image_id
    return images


def _objects(content, file, images, class_of, names, problems):
    """Image id -> lists of boxes, classes, ignore, names and areas, for `make_record`."""
    objects = {
        image_id: {"boxes": [], "classes": [], "ignore": [], "names": [], "areas": []}
        for image_id in images
    }
    seen = set()
    for annotation in content["annotations"]:
        annotation_id, image_id = annotation.get("id"), annotation.get("image_id")
        where = f"{file}: annotation id {annotation_id} (image id {image_id})"
        fault = _annotation_fault(annotation, images, class_of)
        if not fault and annotation_id is not None and annotation_id in seen:
            fault = "this annotation id stands twice; the second is left out"
        seen.add(annotation_id)
        if fault:
            problems.append(Problem.error("bad annotation", f"{where}: {fault}"))
            continue
        x, y, width, height = map(float, annotation["bbox"])
        area, target = annotation.get("area"), objects[image_id]
        target["boxes"].append((y, x, y + height, x + width))
        target["classes"].append(class_of[annotation["category_id"]])
        target["ignore"].append(bool(annotation.get("iscrowd", 0)))
        target["names"].append(names[target["classes"][-1]])
        target["areas"].append(float(area) if _is_number(area) and math.isfinite(area) else None)
    return objects


def _annotation_fault(annotation, images, class_of):
    image_id, category_id, box = (
        annotation.get("image_id"),
        annotation.get("category_id"),
        annotation.get("bbox"),
    )
    if type(image_id) is not int or image_id not in images:
        return "no such image id among 'images'"
    if type(category_id) is not int or category_id not in class_of:
        return f"unknown category id {category_id!r}; the file's 'categories' have {', '.join(map(str, list(class_of)[:20]))}"
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return f"bbox is {box!r}; expected [x, y, width, height] in px"
    return ""


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _size(image, path, where, problems):
    """(height, width) of an image entry, from the image's header where the entry has none; None with a line in `problems`."""
    height, width = image.get("height"), image.get("width")
    if _is_number(height) and _is_number(width) and height >= 1 and width >= 1:
        return int(height), int(width)
    if height is not None or width is not None:
        problems.append(
            Problem.error(
                "bad image size",
                f"{where}: height {height!r} and width {width!r} are not an image's size in px",
            )
        )
        return None
    try:
        return image_size(path)
    except DataError as error:
        problems.append(
            Problem.error(
                "missing image",
                f"{error} (image id {image['id']})"
                if os.path.exists(path)
                else f"{where}: no such image file: {path}",
            )
        )
        return None

"""Reader of COCO detection annotations: one JSON file per split, images in a folder.

Format: https://cocodataset.org/#format-data. Boxes there are (x, y, width, height) px. Ids may be
any whole number, or text; flags and numbers in quotes and null are read as what is meant.
"""

import collections
import os
import pathlib

from absl import logging

from lhrcnn.data.headers import image_size
from lhrcnn.data.readers import coco_file, parsing
from lhrcnn.data.readers.coco_objects import Categories, plain_id, read_objects
from lhrcnn.data.readers.gathering import ALIASES
from lhrcnn.data.readers.lookup import ImageIndex, data_folder, is_hidden, local_name
from lhrcnn.data.readers.records import LONGEST_SIDE, LabelledImage, image_problem, make_records
from lhrcnn.data.schema import Dataset, Problem
from lhrcnn.errors import DataError

SIDES_PX = range(1, LONGEST_SIDE + 1)


def read(data_config, split, training=False):
    """The `Dataset` of a split (a name, or a .json file relative to the data folder).

    Classes are the file's categories in the order of their ids. Crowd regions become `ignore`, and
    so do objects marked `ignore` or difficult. Raises DataError when there is no annotation file,
    it is not COCO's format, or its categories contradict each other."""
    folder, problems = data_folder(data_config.dir), []
    file = find_annotations(folder, split)
    if training and data_config.val_split not in ("", split):
        _refuse_one_file_for_two(folder, file, split, data_config.val_split)
    content, parts = coco_file.load(file)
    images = _images(content.pop("images"), file, problems)
    place = data_config.image_dir
    paths = _find_images(folder, split, file, place, images.values(), problems)
    sized = [_sized(*pair, file, problems) for pair in zip(images.values(), paths)]
    categories = Categories(content["categories"], file, problems)
    use_difficult = training and data_config.use_difficult
    objects = read_objects(parts, list(images), categories.class_of, use_difficult, file, problems)
    categories.settle(objects, problems)
    classes, names = objects["classes"], categories.names
    records = make_records(sized, objects, lambda i: names[classes[i]], problems)
    return Dataset(f"{file}", records, categories.names, categories.ids, problems)


def find_annotations(folder, split):
    """Path of the annotation file of a split. Raises DataError: what was tried, what is there."""
    if split.endswith(".json"):
        tried = [folder / split]
    else:
        names = ALIASES.get(split, (split,))
        patterns = (
            "annotations/instances_{}.json",
            "annotations/{}.json",
            "instances_{}.json",
            "{}.json",
            "{}/_annotations.coco.json",
        )
        tried = [folder / pattern.format(name) for name in names for pattern in patterns]
        tried += [folder / "annotations/instances.json", folder / "instances.json"]
    for file in tried:
        if file.is_file():
            if file.name == "instances.json" and not split.endswith(".json"):
                text = "%s: no annotation file of split '%s'; taking %s for it"
                logging.warning(text, folder, split, file.name)
            return file
    found = sorted(
        str(path.relative_to(folder))
        for pattern in ("*.json", "*/*.json")
        for path in folder.glob(pattern)
        if not is_hidden(path.name)
    )
    raise DataError(
        f"{folder}: no annotation file for split '{split}'; tried "
        f"{', '.join(os.path.relpath(path, folder) for path in tried)}; JSON files there: "
        f"{', '.join(found[:10]) or 'none'}. Name one of them as the split"
    )


def _refuse_one_file_for_two(folder, file, split, other):
    try:
        same = os.path.samefile(file, find_annotations(folder, other))
    except DataError:
        return  # said when that split is opened
    if same:
        name = file.relative_to(folder)
        raise DataError(
            f"{file}: is the annotation file of split '{split}' and of split '{other}': a score on "
            f"images that were trained on says little; give data.val_split another file, '' for "
            f"none, or data.train_split={name} data.val_split={name} for the same on purpose"
        )


def _find_images(folder, split, file, image_dir, entries, problems):
    """The paths of the images of an annotation file, in the folder where some of the first lie, or
    else wherever they are; empty, with a problem, for those that are not there.

    Names may begin with folders of another machine. Raises DataError: what was tried."""
    tried, names = _image_folders(folder, split, file, image_dir), [e["file_name"] for e in entries]
    for place in map(str, tried):
        if any(os.path.isfile(os.path.join(place, name)) for name in names[:100]):
            return [os.path.join(place, name) for name in names]
    index, missing = ImageIndex(folder, image_dir), []
    images = [LabelledImage((name,), file, f"{file}: {name}", split=split) for name in names]
    found = [index.find(image, missing) for image in images]
    if names and not any(found):
        raise DataError(
            f"{file}: none of its images, such as '{names[0]}', is in "
            f"{', '.join(map(str, tried))}, or elsewhere below {index.root}; name their folder in "
            "data.image_dir"
        )
    problems.extend(missing)
    times = collections.Counter(filter(None, found))
    for image, path in zip(images, found):
        if times[path] > 1:
            text = f"{image.where}: {path} may be another image of the file, too; left out"
            problems.append(Problem.error("ambiguous image name", text))
    return ["" if times[path] > 1 else path for path in found]


def _image_folders(folder, split, file, image_dir):
    """Where the images of an annotation file may lie. Raises DataError for a wrong image_dir."""
    if image_dir:
        if not (folder / image_dir).is_dir():
            raise DataError(f"{folder / image_dir}: no such image folder; correct data.image_dir")
        return [folder / image_dir]
    name = pathlib.Path(split).stem if split.endswith(".json") else split
    name = name.removeprefix("instances_")
    tried = [folder / part / one for one in ALIASES.get(name, (name,)) for part in ("", "images")]
    return list(dict.fromkeys([*tried, folder / "images", folder, file.parent]))


def _images(entries, file, problems):
    """Sound image entries by id, in the file's order."""
    images, ids = {}, {}
    for entry in entries:
        image_id, name = plain_id(entry.get("id")), entry.get("file_name") or entry.get("coco_url")
        if image_id is None or not isinstance(name, str) or not name:
            text = f"image entry with id {entry.get('id')!r} and file_name {name!r}: no id or name"
            problems.append(Problem.error("bad image entry", f"{file}: {text}"))
            continue
        entry["file_name"] = name = local_name(name)
        first = images.get(image_id) or images.get(ids.get(name))
        if first:
            before = f"image id {first['id']} ({first['file_name']})"
            text = f"{file}: image id {image_id} ({name}) stands twice, first as {before}; left out"
            problems.append(Problem.error("repeated image", text))
        else:
            images[image_id], ids[name] = entry, image_id
    return images


def _sized(entry, path, file, problems):
    """The `LabelledImage` of an image entry without objects; an unknown size is its header's."""
    where = f"{file}: image id {entry['id']} ({entry['file_name']})"
    height, width, size = entry.get("height"), entry.get("width"), ()
    try:
        if not path:
            pass  # said already
        elif height is None or width is None:
            size = image_size(path)
        elif type(height) is type(width) is int and height in SIDES_PX and width in SIDES_PX:
            size = height, width
        else:
            height, width = parsing.numbers([height, width])
            if not 1 <= min(height, width) <= max(height, width) <= SIDES_PX[-1]:
                raise ValueError(f"not from 1 to {SIDES_PX[-1]} px")
            size = int(height), int(width)
    except DataError as error:
        problems.append(image_problem(path, f"{error} (image id {entry['id']})"))
    except ValueError as error:
        text = f"{where}: height {height!r} and width {width!r} are no size in px: {error}"
        problems.append(Problem.error("bad image size", text))
    about = {"source_id": entry["id"], "path": path, "problems": ()}
    return LabelledImage((), file, where, size, (), **about)

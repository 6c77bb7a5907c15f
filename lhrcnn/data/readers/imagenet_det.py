"""Reader of the ImageNet DET layout: Annotations/DET, Data/DET and ImageSets/DET, with
folders train, val and test each.

Format: the ILSVRC2015 development kit, readme, section 2. An XML file an image names objects by
their WordNet id (wnid). Corners are 0-based and inclusive, so a box in half-open px is (ymin, xmin,
ymax + 1, xmax + 1).
"""

import os
import pathlib
import re

from lhrcnn.data.faults import image_faults
from lhrcnn.data.readers import gathering, lookup, voc_xml
from lhrcnn.data.readers.imagenet_det_classes import CLASSES
from lhrcnn.data.readers.records import LabelledImage, make_dataset
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError

# Folders of images in which boxes of the queried class alone are sure to be complete.
PARTLY_LABELLED = "train/ILSVRC2013_train"
KNOWN_UNREADABLE = ("ILSVRC2012_val_00033658", "ILSVRC2013_val_00004542")
LISTS, ANNOTATIONS, IMAGES = "ImageSets/DET", "Annotations/DET", "Data/DET"


def read(data_config, split, training=False):
    """The `Dataset` of a split like `train+val1`, the joined lists of ImageSets/DET, with a line in
    `problems` for each fault.

    A split may also be the path of a list (.txt). Classes are named as in devkit/data/map_det.txt,
    or the 200 of ILSVRC where there is none. An image of ILSVRC2013_train is `unlabelled` for all
    classes without a box in it, a blacklisted one for its class. Objects marked difficult become
    `ignore`, unless `training` and data.use_difficult. Image ids are positions in the split from 1.
    The two images known to be damaged are left out where they are. Raises DataError when a folder
    or list is missing, or a list is empty."""
    root = find_root(data_config.dir)
    table, images, problems = read_classes(root), [], []
    class_of = {wnid: k for k, (wnid, _) in enumerate(table)}
    blacklist, unlabelled = _read_blacklist(root, class_of), {}
    use_difficult = training and data_config.use_difficult
    for image_id, name in enumerate(_names(root, split, problems), start=1):
        found = _parse(root, name, image_id, use_difficult, problems)
        if found:
            images.append(found)
            if name.startswith(PARTLY_LABELLED):
                present = frozenset(
                    class_of[box.name] for box in found.boxes if box.name in class_of
                )
                missing = tuple(k for k in range(len(table)) if k not in present)
                found.unlabelled = unlabelled.setdefault(present, missing)
            else:
                found.unlabelled = blacklist.get(name, ())
    images = gathering.with_sizes(images, problems)
    dataset = make_dataset(f"{root} {split}", images, problems, list(class_of))
    dataset.class_names = [name for _, name in table]
    dataset.records = _without_known_unreadable(dataset.records, problems)
    return dataset


def _names(root, split, problems):
    """The images of a split, each once; a Problem for each that is repeated."""
    names = {}
    for part in split.split("+"):
        file, entries = read_list(root, part.strip())
        for name in entries:
            if name in names:
                told = (
                    f"{file}: image {name} stands twice in split '{split}'; the second is left out"
                )
                problems.append(Problem.error("repeated image", told))
            names[name] = None
    return names


def find_root(folder):
    """The folder that holds ImageSets/DET: this one or one in it, such as ILSVRC2015.

    Raises DataError."""
    folder = lookup.data_folder(folder)
    for root in (folder, *sorted(folder.iterdir())):
        if (root / LISTS).is_dir():
            return root
    raise DataError(
        f"{folder}: not in the layout of ImageNet DET: neither it nor a folder in it "
        f"holds {LISTS}/; "
        f"found {', '.join(sorted(os.listdir(folder))[:10]) or 'nothing'}"
    )


def read_classes(root):
    """[(wnid, name)] of a data set in the order of the class ids 1, 2, ...: its
    devkit/data/map_det.txt, or else ILSVRC's 200."""
    file = root / "devkit" / "data" / "map_det.txt"
    if not file.is_file():
        return CLASSES
    rows = [line.split(None, 2) for _, line in lookup.lines(file)]
    if [row[1:2] for row in rows] != [[str(k + 1)] for k in range(len(rows))] or not all(
        len(row) == 3 for row in rows
    ):
        raise DataError(f"{file}: expected lines `wnid id name` with the ids 1, 2, 3, ... in order")
    return [(wnid, name.strip()) for wnid, _, name in rows]


def read_list(root, name):
    """(file, names of images such as `val/ILSVRC2012_val_00000001`) of a list, without those marked
    -1 (the class is not there).

    `name` is that of a list in ImageSets/DET or the path of one. Raises DataError when it is
    missing or empty."""
    file = root / LISTS / f"{name}.txt"
    if not os.path.isfile(file) and name.endswith(".txt"):
        file = pathlib.Path(name)
    if not os.path.isfile(file):
        found = sorted(path.stem for path in (root / LISTS).glob("*.txt"))
        raise DataError(
            f"{file}: no such list of images; there are "
            f"{', '.join(found[:30]) or 'none'}. `lhrcnn data imagenet-split` "
            "makes train, val1 and val2"
        )
    rows = [line.split() for _, line in lookup.lines(file)]
    names = [full_name(row[0]) for row in rows if row[1:] != ["-1"]]
    if not names:
        raise DataError(
            f"{file}: the list names no image; expected a line `NAME` or `NAME NUMBER` for each"
        )
    return file, names


def full_name(entry):
    """The name of an image with its first folder, which the development kit's lists leave out."""
    kind = re.search(r"_(train|val|test)(?=[_/])", entry)
    return (
        entry if not kind or entry.startswith(("train/", "val/", "test/")) else f"{kind[1]}/{entry}"
    )


def annotation_file(root, name):
    """Path of the XML file of an image."""
    return root / ANNOTATIONS / f"{name}.xml"


def _parse(root, name, image_id, use_difficult, problems):
    """The `LabelledImage` of an image, or None; a training image without an XML file has no objects
    (negatives have none)."""
    file, own_name = annotation_file(root, name), name.rpartition("/")[2]
    where = f"{file}: image id {image_id}"
    if name.startswith("train/") and not os.path.isfile(file):
        found = LabelledImage((own_name, ""), file, where)
    else:
        found = voc_xml.parse(file, where, "zero_based_inclusive", use_difficult, problems)
    if not found:
        return None
    found.source_id, found.path = image_id, str(root / IMAGES / f"{name}.JPEG")
    stated = found.names[1]
    if stated and own_name not in (stated, stated.rpartition(".")[0]):
        text = f"{where}: is of another image, '{stated}'; left out"
        problems.append(Problem.error("annotations of another image", text))
        return None
    return found


def _read_blacklist(root, class_of):
    """{image name: classes} of the pairs that the development kit leaves out of the evaluation:
    lines `NUMBER wnid`, of val.txt."""
    files = sorted((root / "devkit" / "data").glob("*_det_validation_blacklist.txt"))
    if not files:
        return {}
    rows = [line.split() for _, line in lookup.lines(root / LISTS / "val.txt")]
    names = {row[1]: full_name(row[0]) for row in rows if len(row) == 2}
    blacklist = {}
    for _, line in lookup.lines(files[-1]):
        number, wnid = (line.split() + [""])[:2]
        if number not in names or wnid not in class_of:
            raise DataError(
                f"{files[-1]}: '{line}': expected the number of an image in val.txt and a wnid"
            )
        blacklist.setdefault(names[number], []).append(class_of[wnid])
    return {name: tuple(classes) for name, classes in blacklist.items()}


def _without_known_unreadable(records, problems):
    suspects = [
        record
        for record in records
        if pathlib.PurePath(record.path).stem in KNOWN_UNREADABLE and os.path.exists(record.path)
    ]
    faults = zip(suspects, image_faults(suspects, deep=True))
    damaged = {record.path: fault for record, fault in faults if fault}
    problems.extend(damaged.values())
    return [record for record in records if record.path not in damaged]

"""Lists of ImageNet DET images: validation in two halves of the same class balance, and training
images with a cap per class.

R-CNN (arXiv 1311.2524, section 4.2) trains on train and val1 and tests on val2.
Shape letters: N images, K classes.
"""

import pathlib
import xml.etree.ElementTree as ElementTree

import numpy as np

from lhrcnn.data.readers.imagenet_det import annotation_file, full_name, read_classes, read_list
from lhrcnn.errors import DataError
from lhrcnn.files import Output

_SWEEPS = 20


def halve(counts, seed):
    """bool [N], True for the images of the second half, of object counts [N, K].

    A class's imbalance is |a - b| / (a + b) for a and b objects in the halves. Images with the most
    are placed first, each where it makes the sum of squared imbalances least, the numbers of images
    included; then images change sides as long as that helps."""
    columns = np.column_stack([counts, np.ones(len(counts))]).astype(np.float64)
    shares = columns / np.maximum(columns.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(len(shares))
    order = order[np.argsort(-np.square(shares[order]).sum(axis=1), kind="stable")]
    sides, difference = np.zeros(len(shares)), np.zeros(shares.shape[1])
    for _ in range(_SWEEPS):
        before = sides.copy()
        for i in order:
            difference -= sides[i] * shares[i]
            sides[i] = -1.0 if difference @ shares[i] > 0 else 1.0
            difference += sides[i] * shares[i]
        if np.array_equal(before, sides):
            break
    return sides < 0


def imbalance(counts, second):
    """[K] |a - b| / (a + b) of the object counts [N, K] in both halves; classes without an object
    have 0."""
    total = counts.sum(axis=0)
    return np.abs(total - 2 * counts[second].sum(axis=0)) / np.maximum(total, 1)


def split_validation(root, seed, val2_list=""):
    """(names of val1, names of val2, imbalance [K]) of the images in val.txt; val2 are those of a
    list where one is given.

    Raises DataError for a list that names images which val.txt does not."""
    _, names = read_list(root, "val")
    counts = object_counts(root, names)
    if val2_list:
        chosen = set(read_list(root, val2_list)[1])
        strangers = sorted(chosen - set(names))
        if strangers:
            raise DataError(
                f"{val2_list}: {len(strangers)} of its {len(chosen)} images are not in val.txt, "
                f"such as {strangers[0]}"
            )
        second = np.array([name in chosen for name in names])
    else:
        second = halve(counts, seed)
    halves = [
        [name for name, is_second in zip(names, second) if is_second == wanted]
        for wanted in (False, True)
    ]
    return (*halves, imbalance(counts, second))


def training_images(root, per_class, seed):
    """Sorted names of the images of Annotations/DET/train with objects, without the folders of
    extra negatives.

    With `per_class` above 0 an image, taken in random order, stays as long as one of its classes
    has fewer images so far."""
    annotations = root / "Annotations" / "DET"
    names = sorted(
        str(path.relative_to(annotations).with_suffix("").as_posix())
        for path in (annotations / "train").rglob("*.xml")
    )
    names = [name for name in names if "_train_extra" not in name]
    present = object_counts(root, names) > 0
    kept, taken = np.zeros(len(names), bool), np.zeros(present.shape[1], np.int64)
    for i in np.random.default_rng(seed).permutation(len(names)):
        if present[i].any() and (not per_class or (taken[present[i]] < per_class).any()):
            kept[i] = True
            taken += present[i]
    return [name for name, keep in zip(names, kept) if keep]


def object_counts(root, names):
    """[N, K] int64: how many objects of each class the annotations of images hold; unreadable files
    are reported when they are read."""
    class_of = {wnid: k for k, (wnid, _) in enumerate(read_classes(root))}
    counts = np.zeros([len(names), len(class_of)], np.int64)
    for i, name in enumerate(names):
        try:
            objects = ElementTree.parse(annotation_file(root, full_name(name))).findall("object")
        except (ElementTree.ParseError, OSError):
            continue
        for element in objects:
            k = class_of.get((element.findtext("name") or "").strip())
            if k is not None:
                counts[i, k] += 1
    return counts


def write_list(root, name, images):
    """Writes a list of images into ImageSets/DET and returns its path.

    Raises DataError where another one of this name is there."""
    output = Output(pathlib.Path(root, "ImageSets", "DET"), "--data_dir")
    file = output.folder / f"{name}.txt"
    text = "".join(f"{image} {number}\n" for number, image in enumerate(images, start=1))
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise DataError(f"{file}: there already, with other images; remove or rename it first")
    return file if file.exists() else output.write(file.name, text)

"""Which detection takes which object, by COCO's protocol: greedily by score, class by class."""

import typing

import numpy as np

from lhrcnn.evaluation.columns import (
    IOUS,
    Found,
    Objects,
    found_of,
    image_rows,
    names_of,
    objects_of,
    pairs_of,
)

MAX_DETECTIONS = 100  # per image and class, as pycocotools counts


class Matches(typing.NamedTuple):
    """Detections by falling score, equal ones by image, and what they take at each of IOUS."""

    records: list  # I Records by rising id; images below are places in it
    names: list  # of the classes
    objects: Objects  # G; crowd: to be ignored
    found: Found  # D
    taken: np.ndarray  # [T, D] int64: the object that a detection takes, -1 for none
    ignored: np.ndarray  # [T, D] bool: what takes an object to be ignored counts neither way
    iou: np.ndarray  # [T, D] of a detection and what it takes; 0 for none

    @property
    def true(self):
        """bool [T, D], whether a detection finds an object that counts."""
        return (self.taken >= 0) & ~self.ignored

    def counts(self):
        """int [K], objects that count, of each class."""
        classes = self.objects.classes[~self.objects.crowd]
        return np.bincount(classes, minlength=len(self.names))


def match(dataset, detections, ious=IOUS):
    """The `Matches` of `Detections` on a `Dataset`, at each of `ious`, from .5 up.

    Raises DataError for a detection of an image that the data set does not have."""
    rows = image_rows(dataset)
    objects, found = objects_of(dataset, rows), _best(found_of(detections, rows))
    taken = np.full([len(ious), len(found.scores)], -1)
    ignored, iou = np.zeros(taken.shape, bool), np.zeros(taken.shape)
    pairs = Pairs.between(found, objects)
    same = found.classes[pairs.detection] == objects.classes[pairs.object]
    rivals = pairs.of(same & (pairs.overlap >= IOUS[0] - 1e-9))
    for row, threshold in enumerate(ious):
        _take(rivals, objects.crowd, threshold, taken[row], iou[row])
        ignored[row] = chosen(objects.crowd, taken[row], False)
    records = sorted(dataset.records, key=lambda record: record.image_id)
    return Matches(records, names_of(dataset), objects, found, taken, ignored, iou)


def _best(found):
    """The `Found` by falling score, without those beyond MAX_DETECTIONS in an image and class."""
    order = np.lexsort((found.images, -found.scores))
    found = Found(*(column[order] for column in found))
    group = np.lexsort((np.arange(len(order)), found.classes, found.images))
    images, classes = found.images[group], found.classes[group]
    first = np.r_[True, (np.diff(images) != 0) | (np.diff(classes) != 0)][: len(group)]
    starts = np.flatnonzero(first)
    place = np.arange(len(group)) - np.repeat(starts, np.diff(np.r_[starts, len(group)]))
    kept = np.sort(group[place < MAX_DETECTIONS])
    return Found(*(column[kept] for column in found))


class Pairs(typing.NamedTuple):
    """Detections and objects of one image that overlap, sorted by detection."""

    detection: np.ndarray  # [P]
    object: np.ndarray  # [P]
    overlap: np.ndarray  # [P]: IoU; with a crowd, its part of the detection

    @classmethod
    def between(cls, found, objects):
        """All pairs of a `Found` and `Objects` with an overlap."""
        detection, rivals = pairs_of(found.images, objects.images)
        overlap = overlaps(found.boxes[detection], objects.boxes[rivals], objects.crowd[rivals])
        some = overlap > 0
        return cls(detection[some], rivals[some], overlap[some])

    def of(self, chosen):
        """The pairs of a mask."""
        return Pairs(*(column[chosen] for column in self))


def chosen(values, places, otherwise):
    """values[places], and `otherwise` where a place is -1."""
    return np.append(values, np.asarray(otherwise, values.dtype))[places]


def overlaps(boxes, others, crowd):
    """IoU [P] of boxes (x, y, width, height), in pycocotools' arithmetic.

    Where the other box is a crowd's it is the overlap's part of the first box."""
    low = np.maximum(boxes[:, :2], others[:, :2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    common = np.maximum(high - low, 0).prod(axis=1)
    area, other = boxes[:, 2:].prod(axis=1), others[:, 2:].prod(axis=1)
    whole = np.where(crowd, area, area + other - common)
    return np.divide(common, whole, out=np.zeros(len(common)), where=common > 0)


def _take(pairs, crowd, threshold, taken, iou):
    """Fills `taken` and `iou` [D] from pairs of one class each, sorted by falling score.

    A detection takes the object that it overlaps most of those that no better one took; one to be
    ignored only where there is no other, and any number of detections takes a crowd."""
    threshold = min(threshold, 1 - 1e-10)
    used, last, best = set(), -1, (False, threshold)

    for detection, place, overlap in zip(*(column.tolist() for column in pairs)):
        if detection != last:
            if last >= 0 and taken[last] >= 0 and not crowd[taken[last]]:
                used.add(int(taken[last]))
            last, best = detection, (False, threshold)
        rank = (not crowd[place], overlap)
        # Of equal overlaps the later object counts, as in pycocotools.
        if overlap >= threshold and place not in used and rank >= best:
            taken[detection], iou[detection], best = place, overlap, rank

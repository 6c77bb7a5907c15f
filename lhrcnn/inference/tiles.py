"""Detection in large images tile by tile: each tile is looked at as an image of its own, and the
whole image, shrunk, for what is larger than a tile.

Shape letters: T tiles, D detections.
"""

import dataclasses
import itertools
import math
import os

import numpy as np
import tensorflow as tf

from lhrcnn.choices import resolve
from lhrcnn.data.images import evaluation_short_side
from lhrcnn.data.overlaps import area, common
from lhrcnn.data.windows import open_windows
from lhrcnn.errors import LhrcnnError, UsageError
from lhrcnn.inference import MERGES
from lhrcnn.inference.prediction import named
from lhrcnn.inference.predictor import pixels_of

# A box that ends within so many px of where its tile was cut may be a part of an object.
_CUT_PX = 3.0
# A cut box goes where so much of it lies in a whole one, if that is at least half as certain.
_COVERED = 0.5
_FUSED_IOU = 0.55  # boxes that are averaged, as in the paper of weighted boxes fusion


def tile_windows(height, width, side, overlap):
    """int [T, 4] (top, left, bottom, right) px of tiles of `side` px that cover an image evenly,
    row by row; neighbours share at least the share `overlap` of a side."""

    def starts(length):
        if length <= side:
            return [0]
        number = math.ceil((length - side) / max(1, int(side * (1 - overlap)))) + 1
        return np.linspace(0, length - side, number).round().astype(int).tolist()

    pairs = itertools.product(starts(height), starts(width))
    return np.array([(y, x, min(y + side, height), min(x + side, width)) for y, x in pairs])


def tiled(detector, side, overlap, merge):
    """The detector, or a TiledDetector of it for tiles of `side` px, 0: none. Raises UsageError."""
    return TiledDetector(detector, side, overlap, merge) if side else detector


@dataclasses.dataclass
class TiledDetector:
    """A predictor.Detector that looks at images tile by tile."""

    detector: object
    side: int = 640  # px of a tile
    overlap: float = 0.2  # share of a side that neighbours have in common, at least
    merge: str = "nms"  # a name in MERGES
    batch_size: int = 8

    def __post_init__(self):
        """Raises UsageError for sides, overlaps and merges that cannot be."""
        if self.side < 16 or not 0 <= self.overlap < 1 or self.merge not in MERGES:
            raise UsageError(
                f"tiles of {self.side} px, overlap {self.overlap}, merge '{self.merge}'; allowed: "
                f"from 16 px, 0 up to but not 1, {' or '.join(MERGES)}"
            )
        self.config = self.detector.config
        self.class_names, self.category_ids = self.detector.class_names, self.detector.category_ids

    def predict_each(self, images, **_):
        """As of predictor.Detector, image by image."""
        for image in images:
            try:
                yield image, self.predict(image)
            except LhrcnnError as error:
                yield image, error

    def predict(self, image):
        """The `Prediction` of an image, as `Detector.predict` takes it; errors too."""
        if not isinstance(image, (str, os.PathLike)):
            image = pixels_of(image, self.config.data)
        opened = open_windows(image, self.config.data.accurate_jpeg)
        windows = tile_windows(*opened.size, self.side, self.overlap)
        views, frames = self._views(opened, windows), np.concatenate([windows, windows[:1]])
        frames[-1] = [0, 0, *opened.size]
        if len(windows) == 1:
            frames = frames[:1]
        found = [one for _, one in self.detector.predict_each(views, self.batch_size)]
        for one in found:
            if isinstance(one, Exception):
                raise one
        merge, nms_iou = resolve(MERGES[self.merge]), self.config.model.postprocess.nms_iou
        boxes, cut = zip(*(_in_image(o, f, opened.size) for o, f in zip(found, frames)))
        merged = _merged(
            np.concatenate(boxes),
            np.concatenate([one.scores for one in found]),
            np.concatenate([one.classes for one in found]),
            np.concatenate(cut),
            lambda boxes, scores: merge(boxes, scores, nms_iou),
        )
        return named(self, *merged, tuple(opened.size))

    def _views(self, opened, windows):
        """The pixels of each tile, then of the whole image where there is more than one."""
        for (top, bottom), row in itertools.groupby(windows.tolist(), lambda w: (w[0], w[2])):
            band = opened.read((top, 0, bottom, opened.size[1]))
            for _, left, _, right in row:
                yield np.ascontiguousarray(band[:, left:right])
        if len(windows) > 1:
            data = self.config.data
            yield opened.reduced(max(evaluation_short_side(data), data.long_side))


def _in_image(found, frame, size):
    """(boxes [D, 4] px of the image, whether each may be cut [D]) of the Prediction of a view of
    the part `frame` of an image of `size`."""
    scale = (frame[2:] - frame[:2]) / found.size
    boxes = found.boxes * np.tile(scale, 2) + np.tile(frame[:2], 2)
    first = (boxes[:, :2] <= frame[:2] + _CUT_PX) & (frame[:2] > 0)
    last = (boxes[:, 2:] >= frame[2:] - _CUT_PX) & (frame[2:] < size)
    return boxes.astype(np.float32), (first | last).any(1)


def _merged(boxes, scores, classes, cut, merge):
    """(boxes, scores, classes) of all objects, best first: each class by itself."""
    parts = []
    for k in np.unique(classes):
        own = np.flatnonzero(classes == k)
        own = own[~_parts_of_others(boxes[own], scores[own], cut[own])]
        kept, own_scores = merge(boxes[own], scores[own])
        parts.append((kept, own_scores, np.full(len(kept), k, np.int32)))
    if not parts:
        return boxes, scores, classes
    boxes, scores, classes = (np.concatenate(values) for values in zip(*parts))
    order = np.argsort(-scores, kind="stable")
    return boxes[order], scores[order], classes[order]


def _parts_of_others(boxes, scores, cut):
    """Whether each of boxes [D, 4] is cut, and a part of a whole one that is about as certain."""
    pieces, whole = np.flatnonzero(cut), np.flatnonzero(~cut)
    drop = np.zeros(len(boxes), bool)
    for i in pieces:
        covered = common(boxes[i], boxes[whole]) >= _COVERED * area(boxes[i])
        drop[i] = (covered & (scores[whole] >= scores[i] / 2)).any()
    return drop


def suppress(boxes, scores, iou):
    """Non-maximum suppression, an entry of MERGES."""
    kept = tf.image.non_max_suppression(boxes, scores, len(boxes), iou).numpy()
    return boxes[kept], scores[kept]


def fuse(boxes, scores, iou):
    """The mean of the boxes that overlap a best one, weighted by their scores, and its score, an
    entry of MERGES (weighted boxes fusion, arXiv 1910.13302, but for the score: tiles are no
    models)."""
    del iou
    kept = tf.image.non_max_suppression(boxes, scores, len(boxes), _FUSED_IOU).numpy()
    areas, fused = area(boxes), []
    for i in kept:
        shared = common(boxes[i], boxes)
        weights = np.where(shared >= _FUSED_IOU * (areas + areas[i] - shared), scores, 0)
        fused.append(weights @ boxes / weights.sum())
    return np.array(fused, np.float32).reshape(-1, 4), scores[kept]

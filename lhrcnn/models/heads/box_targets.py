"""What box targets are normalised by: one mean and deviation for all classes, or those of each
class, measured.

Shape letters: K foreground classes; L is K, or 1 where one box serves all classes.
"""

import numpy as np
import tensorflow as tf

from lhrcnn import boxes as box_ops
from lhrcnn.keras import keras

# Classes with fewer proposals on their objects keep mean 0 and the deviations of the config.
LEAST_BOXES = 10
LEAST_DEVIATION = 0.1  # in deviations of the config: smaller ones would blow targets up


class BoxTargets(keras.layers.Layer):
    """Means and deviations [L, 4] of the targets (dy, dx, dh, dw); variables, stored with the
    weights, where they are measured."""

    def __init__(self, config, num_boxes):
        """`config` is a HeadConfig; `num_boxes` is L."""
        super().__init__(name="targets")
        self.mean, self.std = (
            np.tile(np.float32(values), num_boxes) for values in ([0, 0, 0, 0], config.target_std)
        )
        if config.target_statistics == "measured":
            self.mean, self.std = (
                tf.Variable(values, trainable=False, name=name)
                for name, values in (("mean", self.mean), ("std", self.std))
            )

    @property
    def measured(self):
        """Whether these are not what every model begins with."""
        return bool(self.weights) and bool(np.any(self.mean.numpy()))

    def values(self):
        """(means, deviations), each [4 L]."""
        return tuple(np.asarray(values) for values in (self.mean, self.std))

    def encode(self, boxes, references, index):
        """Normalised deltas [..., 4] that move `references` onto `boxes` [..., 4] px; index [...]
        int32 in 0...L-1."""
        mean, std = (
            tf.gather(tf.reshape(values, [-1, 4]), index) for values in (self.mean, self.std)
        )
        return (box_ops.encode(boxes, references) - mean) / std

    def decode(self, deltas, references, index=None):
        """Boxes [..., 4] px: `references` moved by normalised deltas [..., 4]; without an index
        [...] the last axis but one is L."""
        mean, std = (tf.reshape(values, [-1, 4]) for values in (self.mean, self.std))
        if index is not None:
            mean, std = tf.gather(mean, index), tf.gather(std, index)
        return box_ops.decode(deltas * std + mean, references)


def rescaled(array, before, after):
    """The kernel or bias [..., bins * 4 L] of a layer of deltas whose boxes stay what they are when
    the targets' (means, deviations), each [4 L], are no longer `before` but `after`."""
    (mean, std), (new_mean, new_std) = before, after
    by_bin = array.reshape(*array.shape[:-1], -1, len(std)) * (std / new_std)
    if array.ndim == 1:  # a bias
        by_bin = by_bin + (mean - new_mean) / new_std
    return by_bin.reshape(array.shape).astype(np.float32)


def measure(dataset, targets, foreground_iou):
    """Sets BoxTargets from the proposals of a Dataset, and the ground truth, that overlap an object
    of a class by foreground_iou or more.

    Each class with LEAST_BOXES of them gets their mean and standard deviation
    (py-faster-rcnn-resnet-imagenet; Girshick's BBOX_NORMALIZE_TARGETS). Returns how many there are
    of each class [L]."""
    num_boxes = targets.mean.shape[0] // 4
    count, total, squares = (np.zeros([num_boxes, width]) for width in (1, 4, 4))
    for record in dataset.records:
        truth, classes = record.boxes[~record.ignore], record.classes[~record.ignore]
        if not len(truth):
            continue
        proposed = dataset.proposals.boxes[dataset.proposals.rows[record.image_id]]
        candidates = np.concatenate([proposed, truth])
        iou = box_ops.iou(candidates, truth).numpy()
        chosen, matched = iou.max(1) >= foreground_iou, iou.argmax(1)
        deltas = box_ops.encode(truth[matched[chosen]], candidates[chosen]).numpy()
        index = np.zeros(len(deltas), int) if num_boxes == 1 else classes[matched[chosen]]
        for sums, values in (
            (count, np.ones([len(deltas), 1])),
            (total, deltas),
            (squares, deltas.astype(np.float64) ** 2),
        ):
            np.add.at(sums, index, values)
    enough = count >= LEAST_BOXES
    mean = total / np.maximum(count, 1)
    fixed = [variable.numpy().reshape(-1, 4) for variable in (targets.mean, targets.std)]
    variance = squares / np.maximum(count, 1) - mean**2
    std = np.sqrt(np.maximum(variance, (LEAST_DEVIATION * fixed[1]) ** 2))
    for variable, values, old in zip((targets.mean, targets.std), (mean, std), fixed):
        variable.assign(np.where(enough, values, old).reshape(-1).astype(np.float32))
    return count[:, 0].astype(int)

"""How much closer to an object its box gets by being localised once, whatever the scores say.

Input boxes are made from the ground truth by random moves until they overlap it by a given IoU,
the same for every detector.
Shape letters: B images, M padded ground-truth boxes, V levels of input IoU.
"""

import numpy as np
import tensorflow as tf

from lhrcnn.autograph import without_autograph
from lhrcnn.data.batches.pipeline import evaluation_batches
from lhrcnn.data.overlaps import iou
from lhrcnn.errors import ConfigError
from lhrcnn.inference.tta import MergedViews

LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FARTHEST, BISECTIONS = 4.0, 24  # of a move, in sides of the box
IOU_TOLERANCE = 0.01


def localisation_recall(detector, dataset, config, levels=LEVELS):
    """How well a TwoStageDetector moves boxes towards the objects of a `Dataset`, as a table.

    {IoU of the input boxes: {"boxes", "mean_iou", "recall50", "recall70", "AR"}}. Every object that
    counts gives one input box per level, unless the image's border is in the way of that IoU; it is
    moved by the localiser of its own class. Recalls are the shares of outputs with at least that
    IoU, AR is twice the integral of the recall over IoUs from 0.5 to 1. Raises ConfigError for a
    detector that merges the detections of several views of an image."""
    if isinstance(detector, MergedViews):
        raise ConfigError(
            "'test.flip' and 'test.merge: detections' merge what is found in several views of an "
            "image, and a box is localised in one: --set test.flip=false --set test.merge=maxout"
        )
    localise = tf.function(lambda *inputs: _localise(detector, *inputs), reduce_retracing=True)
    reached = [[] for _ in levels]
    for batch in evaluation_batches(dataset, config.data, config.eval.batch_size):
        ious, counts = _localised(localise, batch, levels)
        for place in range(len(levels)):
            reached[place].extend(ious[..., place][counts[..., place]])
    return {level: recall(np.array(values)) for level, values in zip(levels, reached)}


def _localised(localise, batch, levels):
    """(IoU with its object [B, M, V] of each box after it was moved, whether it counts)."""
    image_ids, sizes = batch["image_id"].numpy(), batch["image_size"].numpy()
    # Padding comes last; pooling for it would take most of the time.
    most = max(1, (batch["classes"].numpy() >= 0).sum(1).max())
    objects, classes, ignore = (
        batch[name].numpy()[:, :most] for name in ("boxes", "classes", "ignore")
    )
    inputs = np.stack(  # [B, M, V, 4]
        [
            moved_boxes(boxes, size, levels, np.random.default_rng([0, image_id % 2**64]))
            for boxes, size, image_id in zip(objects, sizes, image_ids.tolist())
        ]
    )
    every, flat = np.repeat(classes, len(levels), 1), inputs.reshape(len(objects), -1, 4)
    outputs = localise(batch["image"], batch["image_size"], flat, every).numpy()
    reached = np.abs(iou(inputs, objects[:, :, None]) - levels) < IOU_TOLERANCE
    counts = ((classes >= 0) & ~ignore)[..., None] & reached
    return iou(outputs.reshape(inputs.shape), objects[:, :, None]), counts


def recall(ious):
    """The row of `localisation_recall` for IoUs [n] of outputs with their objects."""
    if not len(ious):
        shares = dict.fromkeys(("mean_iou", "recall50", "recall70", "AR"), float("nan"))
        return {"boxes": 0, **shares}
    return {
        "boxes": len(ious),
        "mean_iou": float(ious.mean()),
        "recall50": float((ious >= 0.5).mean()),
        "recall70": float((ious >= 0.7).mean()),
        "AR": float(2 * np.maximum(ious - 0.5, 0).mean()),
    }


def moved_boxes(boxes, image_size, levels, rng):
    """Boxes [M, 4] px with their borders moved at random until they have each IoU, [M, V, 4]
    float32.

    They stay inside the image."""
    boxes, limit = boxes.astype(np.float64)[:, None], np.tile(image_size, 2)
    sides = np.tile(boxes[..., 2:] - boxes[..., :2], 2)
    direction = rng.normal(size=(len(boxes), len(levels), 4)) * sides
    near, far = np.zeros(direction.shape[:2]), np.full(direction.shape[:2], FARTHEST)
    for _ in range(BISECTIONS):
        middle = (near + far) / 2
        close = iou(np.clip(boxes + middle[..., None] * direction, 0, limit), boxes) >= levels
        near, far = np.where(close, middle, near), np.where(close, far, middle)
    return np.clip(boxes + near[..., None] * direction, 0, limit).astype(np.float32)


def format_table(table):
    """The table as text, a line a level."""
    lines = ["input IoU   boxes  mean IoU  recall .5  recall .7      AR"]
    lines += [
        f"{level:>9.2f}{row['boxes']:>8}{row['mean_iou']:>10.3f}{row['recall50']:>11.3f}"
        f"{row['recall70']:>11.3f}{row['AR']:>8.3f}"
        for level, row in table.items()
    ]
    return "\n".join(lines)


@without_autograph
def _localise(detector, image, image_size, boxes, classes):
    """Boxes [B, n, 4] of boxes [B, n, 4] px moved once for classes [B, n]."""
    prepared, _ = detector.regions(image, image_size)
    moved, _ = detector.localise(prepared, boxes, image_size)
    return (
        moved[:, :, 0]
        if moved.shape[2] == 1
        else tf.gather(moved, tf.maximum(classes, 0), batch_dims=2)
    )

"""Objects of several images in one."""

import tensorflow as tf

MIN_SIDE_PX = 1.0  # smaller remains of boxes are dropped


def seen_within(objects, low, high):
    """What is seen of objects {"boxes" [B, M, 4], "classes", "ignore" [B, M]} between the corners
    low and high [..., 2] px, the rest padded.

    Those whose centre is outside become `ignore` as far as they are still seen."""
    boxes = objects["boxes"]
    clipped = tf.clip_by_value(boxes, tf.concat([low] * 2, -1), tf.concat([high] * 2, -1))
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    centred = tf.reduce_all((centre >= low) & (centre < high), -1)
    large = tf.reduce_all(clipped[..., 2:] - clipped[..., :2] >= MIN_SIDE_PX, -1)
    seen = (objects["classes"] >= 0) & large
    return {
        "boxes": tf.where(seen[..., tf.newaxis], clipped, 0.0),
        "classes": tf.where(seen, objects["classes"], -1),
        "ignore": seen & (objects["ignore"] | ~centred),
    }


def joined_objects(parts, batch):
    """{"boxes", "classes", "ignore"} as in `batch`, of parts that have these keys: of more than M
    objects the largest stay, counted ones before ignored, in their order."""
    together = {name: tf.concat([part[name] for part in parts], 1) for name in parts[0]}
    chosen = _largest(together, batch["boxes"].shape[1])
    return {
        name: tf.ensure_shape(tf.gather(values, chosen, batch_dims=1), batch[name].shape)
        for name, values in together.items()
    }


def _largest(objects, most):
    """Indices [B, most], in order, of the boxes that stay: counted, then ignored, then padding."""
    area = tf.reduce_prod(objects["boxes"][..., 2:] - objects["boxes"][..., :2], -1)
    worth = tf.where(objects["ignore"], area, area + tf.reduce_max(area) + 1)
    worth = tf.where(objects["classes"] >= 0, worth, 0.0)
    return tf.sort(tf.argsort(worth, 1, "DESCENDING", stable=True)[:, :most], 1)

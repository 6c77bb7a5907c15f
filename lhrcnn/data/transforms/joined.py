"""Objects of several images in one."""

import tensorflow as tf


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

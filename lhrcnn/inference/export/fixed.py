"""Detection in images of a fixed size, as a graph that other runtimes can take over.

No decoding, no loop and no combined NMS is inside; resizing, padding and normalisation are.
"""

import numpy as np
import tensorflow as tf

from lhrcnn.data.images import evaluation_short_side, own_canvas, resized_size
from lhrcnn.errors import ExportError
from lhrcnn.inference.predictor import detect_in_images
from lhrcnn.ops.portable import portable

LARGEST = 1 << 14  # px, of a side


def fixed_function(run, size=None, batch_size=1, runtime=""):
    """A tf.function of B images for a `LoadedRun`: image [B, H, W, 3] uint8 RGB.

    size: (H, W), None: `usual_size`; runtime: as of `portable`, alone, it cannot run in TensorFlow.
    It returns boxes [B, D, 4] px of that image, scores [B, D], classes [B, D] int32 (-1 pads) and
    num_detections [B] int32. Raises ExportError for a size that no image has."""
    data, size = run.config.data, tuple(size or usual_size(run.config.data))
    if not all(0 < side <= LARGEST for side in size):
        raise ExportError(f"--size: found {size[0]}x{size[1]}, allowed: sides of 1 to {LARGEST} px")
    inner = [int(side) for side in resized_size(*size, data)]
    height, width = (int(side) for side in own_canvas(np.array(inner), data))

    def detect(image):
        with portable(runtime):
            resized = resize(image, inner, data.antialias, data.whole_pixels)
            below, right = height - inner[0], width - inner[1]
            # LiteRT cannot pad uint8.
            pixels = tf.cast(resized, tf.float32) if runtime == "litert" else resized
            canvas = tf.pad(pixels, [[0, 0], [0, below], [0, right], [0, 0]])
            canvas = tf.cast(canvas, resized.dtype)
            inner_size, image_size = (
                tf.constant([sides] * batch_size, tf.float32) for sides in (inner, size)
            )
            return detect_in_images(run.model.detect, canvas, inner_size, image_size)

    signature = [tf.TensorSpec([batch_size, *size, 3], tf.uint8, "image")]
    return tf.function(detect, input_signature=signature, autograph=False)


def usual_size(data):
    """(H, W) that a DataConfig's images have at the network: 3:4 where they keep their shape."""
    if data.resize == "stretch":
        return tuple(data.stretch_size)
    short_side = evaluation_short_side(data)
    return short_side, min(round(short_side * 4 / 3), data.long_side)


def resize(images, size, antialias, whole=True):
    """Images uint8 [B, H, W, 3] of known size at another one, as `lhrcnn.data.images.resize` does.

    In gathers and products, since runtimes do not agree on what a resize is."""
    before = [int(side) for side in images.shape[1:3]]
    if before == list(size):
        return images
    filtered = antialias and (size[0] < before[0] or size[1] < before[1])
    pixels = tf.cast(images, tf.float32)
    for axis in (2, 1):  # as TensorFlow's kernel, for the same rounding
        step = _filtered if filtered else _interpolated
        pixels = step(pixels, axis, before[axis - 1], size[axis - 1])
    return tf.cast(tf.round(pixels), tf.uint8) if whole else pixels


def _interpolated(pixels, axis, before, after):
    """Bilinear interpolation along an axis, pixels being squares with their value at the centre."""
    position = (np.arange(after, dtype=np.float32) + 0.5) * np.float32(before / after) - 0.5
    low = np.floor(position)
    shape = [after if place == axis else 1 for place in range(4)]
    fraction = (position - low).astype(np.float32).reshape(shape)
    low = low.astype(np.int32)
    first = tf.gather(pixels, np.maximum(low, 0), axis=axis)
    second = tf.gather(pixels, np.minimum(low + 1, before - 1), axis=axis)
    return first + (second - first) * fraction


def _filtered(pixels, axis, before, after):
    """Resizing with a low-pass filter along an axis: a product with the weights of the filter."""
    with tf.init_scope():
        identity = tf.eye(before)[:, :, None]
        weights = tf.image.resize(identity, [after, before], antialias=True)[..., 0].numpy()
    product = "nx,byxc->bync" if axis == 2 else "ny,byxc->bnxc"
    return tf.einsum(product, weights, pixels, name="low_pass")

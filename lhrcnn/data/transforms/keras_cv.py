"""keras-cv's layers as transforms of batches; what they draw is their own, not reproducible to the
bit.

The only module that imports keras-cv. MixUp and Mosaic change boxes: what is left of them is
clipped, the largest M stay (counted ones before ignored), and the whole canvas counts as valid
image, whatever parts of it were padding. The other layers change colours only.
"""

import tensorflow as tf

from lhrcnn.data.transforms.joined import MIN_SIDE_PX, joined_objects
from lhrcnn.errors import DependencyError

_RANGE = (0, 255)


def _by_layer(changed, make_layer):
    """A transform to what changed(layer, images, batch) gives, of a layer
    make_layer(keras_cv.layers)."""

    def transform(data_config):
        layer = make_layer(_layers())

        def apply(batch, seed):
            return {**batch, **changed(layer, tf.cast(batch["image"], tf.float32), batch)}

        return apply

    return transform


def _layers():
    try:
        import keras_cv
    except ImportError as error:
        raise DependencyError(
            "data.transforms: MixUp, Mosaic and the colours of keras-cv need the package keras-cv; "
            "install it or take them out"
        ) from error
    return keras_cv.layers


def _coloured(layer, images, batch):
    """What changes in a batch when a keras-cv layer changes pixels where they are."""
    pixels = tf.cast(tf.clip_by_value(tf.round(layer(images, training=True)), 0, 255), tf.uint8)
    return {"image": tf.where(_valid_area(batch), pixels, 0)}


def _valid_area(batch):
    """bool [B, H, W, 1], False where the images are padded."""
    shape, size = tf.shape(batch["image"]), batch["image_size"][:, tf.newaxis, tf.newaxis]
    rows = tf.range(shape[1], dtype=tf.float32)[tf.newaxis, :, tf.newaxis]
    columns = tf.range(shape[2], dtype=tf.float32)[tf.newaxis, tf.newaxis]
    return ((rows < size[..., 0]) & (columns < size[..., 1]))[..., tf.newaxis]


def _mixed(layer, images, batch):
    """What changes in a batch when a keras-cv layer mixes its images; `ignore` travels inside the
    class number."""
    labels = 2 * batch["classes"] + tf.cast(batch["ignore"], tf.int32)
    labels = tf.cast(tf.where(batch["classes"] >= 0, labels, -1), tf.float32)
    objects = {"boxes": batch["boxes"], "classes": labels}
    outputs = layer({"images": images, "bounding_boxes": objects}, training=True)
    boxes, labels = (outputs["bounding_boxes"][name] for name in ("boxes", "classes"))
    if isinstance(boxes, tf.RaggedTensor):
        boxes, labels = boxes.to_tensor(0.0), labels.to_tensor(-1.0)
    size = tf.cast(tf.shape(images)[1:3], tf.float32)
    boxes, labels = tf.clip_by_value(boxes, 0.0, tf.tile(size, [2])), tf.cast(labels, tf.int32)
    sides = boxes[..., 2:] - boxes[..., :2]
    seen = (labels >= 0) & tf.reduce_all(sides >= MIN_SIDE_PX, axis=-1)
    found = {
        "boxes": tf.where(seen[..., tf.newaxis], boxes, 0.0),
        "classes": tf.where(seen, labels // 2, -1),
        "ignore": seen & (labels % 2 == 1),
    }
    nothing = {  # in case that fewer than M boxes come back
        "boxes": tf.zeros_like(batch["boxes"]),
        "classes": -tf.ones_like(batch["classes"]),
        "ignore": tf.zeros_like(batch["ignore"]),
    }
    mixed = tf.cast(tf.clip_by_value(tf.round(outputs["images"]), 0, 255), tf.uint8)
    return {
        "image": tf.ensure_shape(mixed, batch["image"].shape),
        "image_size": tf.zeros_like(batch["image_size"]) + size,
        **joined_objects([found, nothing], batch),
    }


def _colours(make_layer, rate=1):
    """A transform that changes colours only, with this probability for each image."""
    if rate == 1:
        return _by_layer(_coloured, make_layer)
    return _by_layer(_coloured, lambda layers: layers.RandomApply(make_layer(layers), rate=rate))


mix_up = _by_layer(_mixed, lambda layers: layers.MixUp())
mosaic = _by_layer(_mixed, lambda layers: layers.Mosaic(bounding_box_format="yxyx"))
color_jitter = _colours(lambda layers: layers.RandomColorJitter(_RANGE, 0.2, 0.2, 0.2, 0.1))
hue = _colours(lambda layers: layers.RandomHue(0.1, _RANGE))
saturation = _colours(lambda layers: layers.RandomSaturation((0.3, 0.7)))
grayscale = _colours(lambda layers: layers.Grayscale(output_channels=3), 0.5)
channel_shuffle = _colours(lambda layers: layers.ChannelShuffle(), 0.5)
solarization = _colours(lambda layers: layers.Solarization(_RANGE, threshold_factor=0.5), 0.5)
auto_contrast = _colours(lambda layers: layers.AutoContrast(_RANGE), 0.5)
equalization = _colours(lambda layers: layers.Equalization(_RANGE), 0.5)

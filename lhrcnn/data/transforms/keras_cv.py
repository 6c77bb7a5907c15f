"""keras-cv's layers as transforms of batches; what they draw is their own, not reproducible to the
bit.

The only module that imports keras-cv. MixUp and Mosaic change boxes: what is left of them is
clipped, the largest M stay, and the whole canvas counts as valid image, whatever parts of it were
padding. The other layers change colours only.
"""

import tensorflow as tf

from lhrcnn.data.transforms.joined import MIN_SIDE_PX
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
    shape, most = tf.shape(images), batch["boxes"].shape[1]
    labels = tf.where(
        batch["classes"] >= 0, 2 * batch["classes"] + tf.cast(batch["ignore"], tf.int32), -1
    )
    outputs = layer(
        {
            "images": images,
            "bounding_boxes": {"boxes": batch["boxes"], "classes": tf.cast(labels, tf.float32)},
        },
        training=True,
    )
    boxes, labels = outputs["bounding_boxes"]["boxes"], outputs["bounding_boxes"]["classes"]
    if isinstance(boxes, tf.RaggedTensor):
        boxes, labels = boxes.to_tensor(0.0), labels.to_tensor(-1.0)
    size = tf.cast(shape[1:3], tf.float32)
    boxes, labels = tf.clip_by_value(boxes, 0.0, tf.tile(size, [2])), tf.cast(labels, tf.int32)
    sides = boxes[..., 2:] - boxes[..., :2]
    seen = (labels >= 0) & tf.reduce_all(sides >= MIN_SIDE_PX, axis=-1)
    order = tf.argsort(tf.where(seen, -tf.reduce_prod(sides, axis=-1), 0.0), axis=1, stable=True)[
        :, :most
    ]
    boxes, labels, seen = (
        tf.gather(values, order, batch_dims=1) for values in (boxes, labels, seen)
    )
    room = [[0, 0], [0, most - tf.shape(seen)[1]]]
    boxes = tf.pad(tf.where(seen[..., tf.newaxis], boxes, 0.0), room + [[0, 0]])
    labels = tf.pad(tf.where(seen, labels, -1), room, constant_values=-1)
    mixed = tf.clip_by_value(tf.round(outputs["images"]), 0, 255)
    return {
        "image": tf.ensure_shape(tf.cast(mixed, tf.uint8), batch["image"].shape),
        "image_size": tf.ensure_shape(
            tf.tile(size[tf.newaxis], [shape[0], 1]), batch["image_size"].shape
        ),
        "boxes": tf.ensure_shape(boxes, batch["boxes"].shape),
        "classes": tf.ensure_shape(tf.where(labels >= 0, labels // 2, -1), batch["classes"].shape),
        "ignore": tf.ensure_shape((labels >= 0) & (labels % 2 == 1), batch["ignore"].shape),
    }


mix_up = _by_layer(_mixed, lambda layers: layers.MixUp())
mosaic = _by_layer(_mixed, lambda layers: layers.Mosaic(bounding_box_format="yxyx"))
color_jitter = _by_layer(
    _coloured, lambda layers: layers.RandomColorJitter(_RANGE, 0.2, 0.2, 0.2, 0.1)
)
hue = _by_layer(_coloured, lambda layers: layers.RandomHue(0.1, _RANGE))
saturation = _by_layer(_coloured, lambda layers: layers.RandomSaturation((0.3, 0.7)))
grayscale = _by_layer(
    _coloured, lambda layers: layers.RandomApply(layers.Grayscale(output_channels=3), rate=0.5)
)
channel_shuffle = _by_layer(
    _coloured, lambda layers: layers.RandomApply(layers.ChannelShuffle(), rate=0.5)
)
solarization = _by_layer(
    _coloured,
    lambda layers: layers.RandomApply(layers.Solarization(_RANGE, threshold_factor=0.5), rate=0.5),
)
auto_contrast = _by_layer(
    _coloured, lambda layers: layers.RandomApply(layers.AutoContrast(_RANGE), rate=0.5)
)
equalization = _by_layer(
    _coloured, lambda layers: layers.RandomApply(layers.Equalization(_RANGE), rate=0.5)
)

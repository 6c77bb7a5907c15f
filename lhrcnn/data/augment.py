"""Random changes to training pictures and their boxes.

The changes to single pictures are functions of (seed, step, slot in the batch). keras-cv's layers, applied to whole batches,
draw from their own state: with them a run is not reproducible to the bit.
Shape letters: h w height and width of a resized picture in px, M padded boxes. Boxes are (ymin, xmin, ymax, xmax) px.
"""
import math

import tensorflow as tf

_NUM_DRAWS = 8
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma
_MIN_SIDE_PX = 1.0             # smaller remains of boxes are dropped


def random_numbers(seed, step, slot):
    """float32 [8] in [0, 1) for one picture; seed, step and slot are integers or scalar int64 tensors."""
    seed, step, slot = (tf.cast(value, tf.int64) for value in (seed, step, slot))
    key = tf.random.experimental.stateless_fold_in(tf.stack([seed, step]), slot)
    return tf.random.stateless_uniform([_NUM_DRAWS], key)


def augment(example, numbers, data_config):
    """The unpadded example (see `pipeline`) after zoom, flip and colour changes as the options ask, driven by `numbers` [8]."""
    example = dict(example)
    if data_config.min_crop < 1 or data_config.max_expand > 1:
        example = zoom(example, numbers[1:4], data_config.min_crop, data_config.max_expand)
    if data_config.flip:
        example["image"], example["boxes"] = tf.cond(
            numbers[0] < 0.5, lambda: flip(example["image"], example["boxes"], example["classes"]),
            lambda: (example["image"], example["boxes"]))
    if data_config.photometric:
        example["image"] = photometric(example["image"], numbers[4:8], data_config.photometric)
    return example


def flip(image, boxes, classes):
    """The picture [h, w, 3] and its boxes [M, 4] mirrored left-right; padded boxes (class -1) stay zero."""
    width = tf.cast(tf.shape(image)[1], tf.float32)
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    mirrored = tf.stack([ymin, width - xmax, ymax, width - xmin], axis=-1)
    return tf.reverse(image, [1]), tf.where((classes >= 0)[:, tf.newaxis], mirrored, 0.0)


def photometric(image, numbers, strength):
    """uint8 [h, w, 3] with random brightness, contrast, saturation and hue; numbers [4] in [0, 1), strength 0 to 1.

    At strength 1: +-64 grey levels, contrast and saturation times 0.5 to 1.5, hue turned by up to 18 degrees around the grey
    axis. All four are linear in the colour, so they are one 3 x 3 matrix and an offset."""
    brightness, contrast, saturation, hue = tf.unstack((2 * numbers - 1) * strength)
    pixels = tf.cast(image, tf.float32)
    mean = tf.reduce_mean(pixels, axis=[0, 1])
    grey = tf.tile([_GREY], [3, 1])
    cosine, sine = tf.cos(hue * math.pi / 10), tf.sin(hue * math.pi / 10)
    cross = tf.constant([[0., -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turn = cosine * tf.eye(3) + sine * cross + (1 - cosine) / 3  # Rodrigues' rotation around (1, 1, 1)
    saturate = grey + (1 + 0.5 * saturation) * (tf.eye(3) - grey)
    matrix = (1 + 0.5 * contrast) * tf.matmul(turn, saturate)
    changed = tf.tensordot(pixels - mean, matrix, [[2], [1]]) + mean + 64 * brightness
    return tf.cast(tf.clip_by_value(tf.round(changed), 0, 255), tf.uint8)


def zoom(example, numbers, min_crop, max_expand):
    """The example with a random window of the picture enlarged (crop) or the picture shrunk on its mean colour (expand).

    The window has `share` times the picture's sides, log-uniform from min_crop to max_expand, and lies anywhere inside the
    picture (or around it); it is resampled to the picture's size h x w. Objects whose centre leaves the window become `ignore`
    as far as they are still seen; boxes of which nothing remains are padding. numbers [3] in [0, 1)."""
    image, boxes, classes = example["image"], example["boxes"], example["classes"]
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    low, high = math.log(min_crop), math.log(max_expand)
    share = tf.exp(low + numbers[0] * (high - low))
    offset = numbers[1:3] * (1 - share) * size
    corner = tf.tile(size, [2])
    moved = (boxes - tf.tile(offset, [2])) / share
    clipped = tf.clip_by_value(moved, 0.0, corner)
    centre = (moved[:, :2] + moved[:, 2:]) / 2
    centred = tf.reduce_all((centre >= 0) & (centre < size), axis=1)
    seen = (classes >= 0) & tf.reduce_all(clipped[:, 2:] - clipped[:, :2] >= _MIN_SIDE_PX, axis=1)
    return {**example, "image": _window(image, share, offset), "scale": example["scale"] / share,
            "boxes": tf.where(seen[:, tf.newaxis], clipped, 0.0), "classes": tf.where(seen, classes, -1),
            "ignore": seen & (example["ignore"] | ~centred)}


def _window(image, share, offset):
    """The window of `share` of the picture's sides at `offset` [2] px as a picture of the same size [h, w, 3]."""
    pixels = tf.cast(image, tf.float32)
    shape = tf.shape(image)[:2]
    resampled = tf.raw_ops.ScaleAndTranslate(images=pixels[tf.newaxis], size=shape, scale=tf.fill([2], 1 / share),
                                             translation=-offset / share, kernel_type="triangle", antialias=True)[0]
    inside = []
    for axis in (0, 1):
        at = (tf.range(shape[axis], dtype=tf.float32) + 0.5) * share + offset[axis]
        inside.append((at >= 0) & (at <= tf.cast(shape[axis], tf.float32)))
    inside = (inside[0][:, tf.newaxis] & inside[1][tf.newaxis])[..., tf.newaxis]
    filled = tf.where(inside, resampled, tf.reduce_mean(pixels, axis=[0, 1]))
    return tf.ensure_shape(tf.cast(tf.clip_by_value(tf.round(filled), 0, 255), tf.uint8), image.shape)


def keras_cv_augmenter(names):
    """A function on batches (see `schema`) that applies keras-cv layers by name, in order.

    MixUp and Mosaic change boxes: what is left of them is clipped, the largest M stay, and the whole canvas counts as valid
    picture, whatever parts of it were padding. The other layers change colours only. Raises ImportError without keras-cv."""
    try:
        import keras_cv
    except ImportError as error:
        raise ImportError("data.keras_cv_augment needs the package keras-cv; install it or empty the option") from error
    layers = keras_cv.layers
    value_range = (0, 255)
    factories = {
        "MixUp": layers.MixUp,
        "Mosaic": lambda: layers.Mosaic(bounding_box_format="yxyx"),
        "RandomColorJitter": lambda: layers.RandomColorJitter(value_range, 0.2, 0.2, 0.2, 0.1),
        "RandomHue": lambda: layers.RandomHue(0.1, value_range),
        "RandomSaturation": lambda: layers.RandomSaturation((0.3, 0.7)),
        "Grayscale": lambda: layers.RandomApply(layers.Grayscale(output_channels=3), rate=0.5),
        "ChannelShuffle": lambda: layers.RandomApply(layers.ChannelShuffle(), rate=0.5),
        "Solarization": lambda: layers.RandomApply(layers.Solarization(value_range, threshold_factor=0.5), rate=0.5),
        "AutoContrast": lambda: layers.RandomApply(layers.AutoContrast(value_range), rate=0.5),
        "Equalization": lambda: layers.RandomApply(layers.Equalization(value_range), rate=0.5),
    }
    chosen = [(name in ("MixUp", "Mosaic"), factories[name]()) for name in names]

    def apply(batch):
        batch = dict(batch)
        for moves_boxes, layer in chosen:
            images = tf.cast(batch["image"], tf.float32)
            if moves_boxes:
                batch.update(_mixed(layer, images, batch))
            else:
                changed = tf.clip_by_value(tf.round(layer(images, training=True)), 0, 255)
                batch["image"] = tf.where(_valid_area(batch), tf.cast(changed, tf.uint8), 0)
        return batch

    return apply


def _valid_area(batch):
    """bool [B, H, W, 1], False where the pictures are padded."""
    shape, size = tf.shape(batch["image"]), batch["image_size"][:, tf.newaxis, tf.newaxis]
    rows = tf.range(shape[1], dtype=tf.float32)[tf.newaxis, :, tf.newaxis]
    columns = tf.range(shape[2], dtype=tf.float32)[tf.newaxis, tf.newaxis]
    return ((rows < size[..., 0]) & (columns < size[..., 1]))[..., tf.newaxis]


def _mixed(layer, images, batch):
    """What changes in a batch when a keras-cv layer mixes its pictures; `ignore` travels inside the class number."""
    shape, most = tf.shape(images), batch["boxes"].shape[1]
    labels = tf.where(batch["classes"] >= 0, 2 * batch["classes"] + tf.cast(batch["ignore"], tf.int32), -1)
    outputs = layer({"images": images, "bounding_boxes": {"boxes": batch["boxes"], "classes": tf.cast(labels, tf.float32)}}, training=True)
    boxes, labels = outputs["bounding_boxes"]["boxes"], outputs["bounding_boxes"]["classes"]
    if isinstance(boxes, tf.RaggedTensor):
        boxes, labels = boxes.to_tensor(0.0), labels.to_tensor(-1.0)
    size = tf.cast(shape[1:3], tf.float32)
    boxes, labels = tf.clip_by_value(boxes, 0.0, tf.tile(size, [2])), tf.cast(labels, tf.int32)
    sides = boxes[..., 2:] - boxes[..., :2]
    seen = (labels >= 0) & tf.reduce_all(sides >= _MIN_SIDE_PX, axis=-1)
    order = tf.argsort(tf.where(seen, -tf.reduce_prod(sides, axis=-1), 0.0), axis=1, stable=True)[:, :most]
    boxes, labels, seen = (tf.gather(values, order, batch_dims=1) for values in (boxes, labels, seen))
    room = [[0, 0], [0, most - tf.shape(seen)[1]]]
    boxes = tf.pad(tf.where(seen[..., tf.newaxis], boxes, 0.0), room + [[0, 0]])
    labels = tf.pad(tf.where(seen, labels, -1), room, constant_values=-1)
    mixed = tf.clip_by_value(tf.round(outputs["images"]), 0, 255)
    return {"image": tf.ensure_shape(tf.cast(mixed, tf.uint8), batch["image"].shape),
            "image_size": tf.ensure_shape(tf.tile(size[tf.newaxis], [shape[0], 1]), batch["image_size"].shape),
            "boxes": tf.ensure_shape(boxes, batch["boxes"].shape),
            "classes": tf.ensure_shape(tf.where(labels >= 0, labels // 2, -1), batch["classes"].shape),
            "ignore": tf.ensure_shape((labels >= 0) & (labels % 2 == 1), batch["ignore"].shape)}

"""Random changes to training images and their boxes.

Every image of a step has NUM_DRAWS random numbers (see `pipeline.BatchPlan`) that say what is done
to it: whether it is mirrored, three for the zoom, four for the colours. Shape letters: B images, H
W height and width of a decoded image in px, h w of a resized one, M padded boxes. Boxes are (ymin,
xmin, ymax, xmax) px of resized images.
"""

import math

import tensorflow as tf

from lhrcnn import boxes as box_ops
from lhrcnn.data.images import resize
from lhrcnn.data.transforms.joined import seen_within

NUM_DRAWS = 8
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma


def mirrored(numbers, data_config):
    """Which images are mirrored left-right: bool [...] by their `numbers` [..., 8]."""
    return (numbers[..., 0] < 0.5) & data_config.flip


def augment_image(image, size, numbers, data_config):
    """The image [H, W, 3] resized to `size` [2] = (h, w), zoomed, mirrored and with other colours
    as the options ask, by `numbers` [8]."""
    if zooms(data_config):
        share, offset = window(numbers[1:4], tf.cast(size, tf.float32), data_config)
        image = zoom_image(image, size, share, offset, data_config.antialias)
    else:
        image = resize(image, size, data_config.antialias)
    return mirror_and_colour(image, numbers, data_config)


def mirror_and_colour(image, numbers, data_config):
    """The image [h, w, 3] mirrored and with other colours as the options ask, by `numbers`."""
    if data_config.flip:
        image = tf.cond(
            mirrored(numbers, data_config), lambda: tf.reverse(image, [1]), lambda: image
        )
    if data_config.photometric:
        image = photometric(image, numbers[4:8], data_config.photometric)
    return image


def augment_objects(batch, numbers, data_config):
    """The same for what a batch (see `schema`) says of its images, before any change: boxes are
    zoomed and mirrored. numbers [B, 8]."""
    batch = dict(batch)
    if "proposals" in batch:
        nothing = box_ops.area(batch["proposals"]) <= 0
        as_objects = {
            **batch,
            "boxes": batch.pop("proposals"),
            "classes": -tf.cast(nothing, tf.int32),
            "ignore": nothing,
        }
        del as_objects["proposals"]
        batch["proposals"] = augment_objects(as_objects, numbers, data_config)["boxes"]
    if zooms(data_config):
        share, offset = window(numbers[:, 1:4], batch["image_size"], data_config)
        objects = (batch[name] for name in ("boxes", "classes", "ignore", "image_size"))
        batch.update(zoom_boxes(*objects, share, offset))
        batch["scale"] /= share[:, None]
    if data_config.flip:
        flipped = flip_boxes(batch["boxes"], batch["classes"], batch["image_size"][:, 1])
        batch["boxes"] = tf.where(
            mirrored(numbers, data_config)[:, None, None], flipped, batch["boxes"]
        )
    return batch


def zooms(data_config):
    """Whether random windows are cut from images."""
    return data_config.min_crop < 1 or data_config.max_expand > 1


def flip_boxes(boxes, classes, width):
    """Boxes [B, M, 4] of images mirrored left-right, `width` [B] px wide; padded boxes (class -1)
    stay zero."""
    return tf.where((classes >= 0)[..., None], box_ops.mirror(boxes, width[:, None]), 0.0)


def photometric(image, numbers, strength):
    """uint8 [h, w, 3] with random brightness, contrast, saturation and hue; numbers [4] in [0, 1),
    strength 0 to 1.

    At strength 1: +-64 grey levels, contrast and saturation times 0.5 to 1.5, hue turned by up to
    18 degrees around the grey axis. All four are linear in the colour, so they are one 3 x 3 matrix
    and an offset."""
    brightness, contrast, saturation, hue = tf.unstack((2 * numbers - 1) * strength)
    pixels = tf.cast(image, tf.float32)
    mean = tf.reduce_mean(pixels, axis=[0, 1])
    grey = tf.tile([_GREY], [3, 1])
    cosine, sine = tf.cos(hue * math.pi / 10), tf.sin(hue * math.pi / 10)
    cross = tf.constant([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    # Rodrigues' rotation around (1, 1, 1).
    turn = cosine * tf.eye(3) + sine * cross + (1 - cosine) / 3
    saturate = grey + (1 + 0.5 * saturation) * (tf.eye(3) - grey)
    matrix = (1 + 0.5 * contrast) * tf.matmul(turn, saturate)
    changed = tf.tensordot(pixels - mean, matrix, [[2], [1]]) + mean + 64 * brightness
    return tf.cast(tf.clip_by_value(tf.round(changed), 0, 255), tf.uint8)


def window(numbers, size, data_config):
    """(share [...], offset [..., 2] px) of the part of an image of `size` [..., 2] that is shown,
    by numbers [..., 3] in [0, 1).

    It has `share` times the image's sides, log-uniform from min_crop to max_expand, and lies
    anywhere inside the image (or around it)."""
    low, high = math.log(data_config.min_crop), math.log(data_config.max_expand)
    share = tf.exp(low + numbers[..., 0] * (high - low))
    return share, numbers[..., 1:3] * (1 - share)[..., None] * size


def zoom_boxes(boxes, classes, ignore, size, share, offset):
    """{"boxes" [B, M, 4], "classes", "ignore" [B, M]} in the windows of images of `size` [B, 2],
    enlarged to that size.

    Objects whose centre leaves the window become `ignore` as far as they are still seen; boxes of
    which nothing remains are padding."""
    moved = (boxes - tf.tile(offset, [1, 2])[:, None]) / share[:, None, None]
    objects = {"boxes": moved, "classes": classes, "ignore": ignore}
    size = size[:, None]
    return seen_within(objects, tf.zeros_like(size), size)


def zoom_image(image, size, share, offset, antialias):
    """A window of the image uint8 [H, W, 3] resampled, in one step, to `size` [2] int32 = (h, w).

    The window has `share` of the image's sides and begins at `offset` [2], px of the image resized
    to `size`. What lies outside the image gets its mean colour."""
    shown = tf.cast(size, tf.float32)
    factor = shown / tf.cast(tf.shape(image)[:2], tf.float32)
    resampled = tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=size,
        scale=factor / share,
        translation=-offset / share,
        kernel_type="triangle",
        antialias=antialias,
    )[0]

    def filled():
        inside = []
        for axis in (0, 1):
            at = (tf.range(shown[axis]) + 0.5) * share + offset[axis]
            inside.append((at >= 0) & (at <= shown[axis]))
        inside = (inside[0][:, tf.newaxis] & inside[1][tf.newaxis])[..., tf.newaxis]
        return tf.where(inside, resampled, tf.reduce_mean(tf.cast(image, tf.float32), axis=[0, 1]))

    # the mean of a large image takes as long as its resampling
    resampled = tf.cond(share > 1, filled, lambda: resampled)
    return tf.cast(tf.clip_by_value(tf.round(resampled), 0, 255), tf.uint8)

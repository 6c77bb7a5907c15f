"""Random changes to images and boxes."""

import numpy as np
import pytest
import tensorflow as tf
from data.samples import options
from reference.image import change_colours, zoom_boxes

from lhrcnn.data.transforms import augment


def painted(height=60, width=90, boxes=((10, 20, 30, 50), (40, 5, 55, 15))):
    """An example whose boxes are painted, one colour each, on black; two boxes of padding."""
    image = np.zeros((height, width, 3), np.uint8)
    for number, (ymin, xmin, ymax, xmax) in enumerate(boxes):
        image[ymin:ymax, xmin:xmax, number] = 200
    padding = [(0, 0, 0, 0)] * 2
    return {
        "image": tf.constant(image),
        "scale": tf.constant([0.5, 0.5]),
        "boxes": tf.constant([*boxes, *padding], tf.float32),
        "classes": tf.constant([*range(len(boxes)), -1, -1]),
        "ignore": tf.constant([False] * (len(boxes) + 2)),
        "image_id": tf.constant(1, tf.int64),
    }


def assert_boxes_lie_on_paint(example, slack):
    """Each box is the extent of its own colour, to `slack` px."""
    image = example["image"].numpy()
    for box, class_index in zip(example["boxes"].numpy(), example["classes"].numpy()):
        if class_index >= 0:
            rows, columns = np.nonzero(image[..., class_index] > 100)
            np.testing.assert_allclose(
                box, (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1), atol=slack
            )


def augmented(example, data, numbers):
    """The example after what the pipeline does to an image and to a batch of one."""
    numbers = tf.constant(numbers, tf.float32)
    batch = {name: value[tf.newaxis] for name, value in example.items()}
    batch["image_size"] = tf.cast(tf.shape(example["image"])[:2], tf.float32)[tf.newaxis]
    changed = {
        name: value[0]
        for name, value in augment.augment_objects(batch, numbers[tf.newaxis], data).items()
    }
    return {
        **changed,
        "image": augment.augment_image(
            example["image"], tf.shape(example["image"])[:2], numbers, data
        ),
    }


def zoomed_by(example, numbers, min_crop, max_expand, folder="."):
    """The example zoomed by three numbers, not mirrored."""
    return augmented(
        example,
        options(folder, f"min_crop={min_crop}", f"max_expand={max_expand}"),
        [1, *numbers, 0, 0, 0, 0],
    )


def test_flip_moves_paint_and_boxes_alike(tmp_path):
    example = painted()
    flipped = augmented(example, options(tmp_path), [0.4] + 7 * [0])
    assert_boxes_lie_on_paint(flipped, slack=0)
    np.testing.assert_array_equal(flipped["boxes"][:2], [(10, 40, 30, 70), (40, 75, 55, 85)])
    np.testing.assert_array_equal(flipped["boxes"][2:], np.zeros((2, 4)))
    back = augmented(flipped, options(tmp_path), [0.4] + 7 * [0])
    for name in example:
        np.testing.assert_array_equal(back[name], example[name])


def test_half_of_the_images_are_flipped(tmp_path):
    numbers = np.random.default_rng(0).random((400, augment.NUM_DRAWS), np.float32)
    assert 150 < augment.mirrored(numbers, options(tmp_path)).sum() < 250
    assert not augment.mirrored(numbers, options(tmp_path, "flip=false")).any()
    still = augmented(painted(), options(tmp_path, "flip=false"), [0.4] + 7 * [0])
    assert all(np.array_equal(still[name], painted()[name]) for name in painted())


@pytest.mark.parametrize(
    "numbers",
    [
        (0.5, 0.5, 0.5, 0.5),
        (1, 0.5, 0.5, 0.5),
        (0.5, 0, 0.5, 0.5),
        (0.5, 0.5, 0, 0.5),
        (0.5, 0.5, 0.5, 1),
        (0.1, 0.9, 0.8, 0.2),
    ],
)
@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_photometric_agrees_with_four_plain_steps(numbers, strength):
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    found = augment.photometric(
        tf.constant(image), tf.constant(numbers, tf.float32), strength
    ).numpy()
    expected = change_colours(image, *((2 * np.array(numbers) - 1) * strength))
    assert np.abs(found - expected).max() <= 1
    if numbers == (0.5, 0.5, 0.5, 0.5):
        np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(
    "share_number, y, x",
    [
        (0.0, 0.3, 0.1),
        (0.0, 0.9, 0.9),
        (0.0, 0.0, 0.0),
        (1.0, 0.2, 0.7),
        (1.0, 1.0, 1.0),
        (0.6, 0.5, 0.5),
    ],
)
def test_zoom_moves_boxes_as_the_plain_version_does(share_number, y, x):
    example = painted()
    zoomed = zoomed_by(example, [share_number, y, x], 0.5, 2.0)
    share = 0.5 * 4**share_number
    plain = zoom_boxes(
        example["boxes"].numpy()[:2], share, (y * (1 - share) * 60, x * (1 - share) * 90), 60, 90
    )
    np.testing.assert_allclose(zoomed["scale"], [0.5 / share] * 2, rtol=1e-5)
    for i, (box, centred, seen) in enumerate(plain):
        assert zoomed["classes"].numpy()[i] == (i if seen else -1)
        assert zoomed["ignore"].numpy()[i] == (seen and not centred)
        np.testing.assert_allclose(zoomed["boxes"][i], box if seen else (0, 0, 0, 0), atol=1e-4)
    assert (
        (zoomed["classes"].numpy()[2:] == -1).all()
        and not zoomed["boxes"].numpy()[2:].any()
        and not zoomed["ignore"].numpy()[2:].any()
    )
    assert zoomed["image"].shape == example["image"].shape and zoomed["image"].dtype == tf.uint8


@pytest.mark.parametrize(
    "share_number, y, x", [(0.0, 0.25, 0.4), (1.0, 0.5, 0.25), (0.5, 0.1, 0.1)]
)
def test_zoom_moves_paint_and_boxes_alike(share_number, y, x):
    example = painted(boxes=((15, 35, 30, 50), (32, 40, 40, 52)))
    zoomed = zoomed_by(example, [share_number, y, x], 0.6, 1.8)
    assert (zoomed["classes"].numpy()[:2] == [0, 1]).all() and not zoomed["ignore"].numpy().any()
    assert_boxes_lie_on_paint(zoomed, slack=1.01)


@pytest.mark.parametrize("height, width", [(32, 44), (120, 92), (60, 88)])
def test_a_window_is_cut_from_the_image_as_it_was_decoded(height, width):
    """Half of its sides at the image's own scale: pixels of the decoded image, whatever the size of
    what is shown."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, [2 * height, 2 * width, 3], np.uint8)
    shown = augment.zoom_image(
        tf.constant(image),
        tf.constant([height, width]),
        tf.constant(0.5),
        tf.constant([height / 4, width / 4]),
        False,
    )
    np.testing.assert_array_equal(
        shown, image[height // 2 : height // 2 + height, width // 2 : width // 2 + width]
    )


def test_a_window_of_all_is_the_resized_image():
    image = tf.constant(np.random.default_rng(0).integers(0, 256, [64, 96, 3], np.uint8))
    for size in ((48, 50), (90, 100)):
        for antialias in (False, True):
            whole = augment.zoom_image(
                image, tf.constant(size), tf.constant(1.0), tf.zeros([2]), antialias
            )
            resized = tf.image.resize(image, size, antialias=antialias)
            np.testing.assert_allclose(tf.cast(whole, tf.float32), resized, atol=0.51)


def test_expansion_is_filled_with_the_mean_colour():
    example = {**painted(), "image": tf.fill([60, 90, 3], tf.constant(70, tf.uint8))}
    assert (zoomed_by(example, [1.0, 0.5, 0.5], 1.0, 3.0)["image"].numpy() == 70).all()


def test_a_crop_may_lose_every_box_and_one_pixel_images_survive():
    corner = zoomed_by(painted(boxes=((0, 0, 5, 5), (1, 1, 4, 4))), [0.0, 1.0, 1.0], 0.3, 1.0)
    assert (corner["classes"].numpy() == -1).all() and not corner["ignore"].numpy().any()
    tiny = {**painted(), "image": tf.zeros([1, 1, 3], tf.uint8)}
    assert zoomed_by(tiny, [0.0, 0.5, 0.5], 0.3, 1.0)["image"].shape == (1, 1, 3)

"""Resizing and padding images."""

import math

import numpy as np
import pytest
import tensorflow as tf
from data.samples import colours, encoded, options
from PIL import Image
from reference.image import interpolate, resize_bilinear

from lhrcnn.data import images
from lhrcnn.data.decoding import decode_image


@pytest.mark.parametrize(
    "size, short_side, antialias",
    [
        ((30, 50), 20, False),
        ((50, 30), 20, False),
        ((7, 300), 20, False),
        ((1, 1), 20, True),
        ((18, 20), 20, True),
        ((18, 20), 31, True),
        ((20, 20), 20, True),
    ],
)
def test_resize_is_bilinear_where_nothing_is_filtered(size, short_side, antialias, tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    data = options(tmp_path, f"short_side=[{short_side}]", "long_side=90", f"antialias={antialias}")
    resized, scale = images.resize_image(tf.constant(image), data)
    expected = resize_bilinear(image, *resized.shape[:2])
    assert np.abs(resized.numpy().astype(int) - expected).max() <= 1
    np.testing.assert_allclose(scale.numpy(), np.array(resized.shape[:2]) / size, rtol=1e-6)


@pytest.mark.parametrize("size", [(30, 50), (50, 30), (1, 1), (20, 33)])
def test_without_whole_pixels_fractions_stay(size, rng, tmp_path):
    """As torch.nn.functional.interpolate(mode="bilinear", align_corners=False), which torchvision's
    detectors call with floats."""
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    data = options(tmp_path, "short_side=[20]", "long_side=90", "whole_pixels=false")
    resized, _ = images.resize_image(tf.constant(image), data)
    expected = interpolate(image, *resized.shape[:2])
    assert resized.dtype == tf.float32
    np.testing.assert_allclose(resized, expected, atol=1e-3)


def test_resize_with_filter_agrees_with_pillow(tmp_path):
    image = np.random.default_rng(2).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    resized, _ = images.resize_image(
        tf.constant(image), options(tmp_path, "short_side=[33]", "antialias=true")
    )
    expected = np.asarray(
        Image.fromarray(image).resize((44, 33), Image.Resampling.BILINEAR)
    )  # Pillow's bilinear always filters
    assert (
        resized.shape == (33, 44, 3) and np.abs(resized.numpy().astype(int) - expected).max() <= 1
    )


@pytest.mark.parametrize(
    "size, short, long, expected",
    [
        ((480, 640), 800, 1333, (800, 1067)),
        ((640, 480), 800, 1333, (1067, 800)),
        ((100, 1000), 800, 1333, (133, 1333)),
        ((1, 5000), 600, 1000, (1, 1000)),
        ((600, 600), 600, 1000, (600, 600)),
        ((3, 3), 600, 500, (500, 500)),
    ],
)
def test_keep_ratio_sizes(size, short, long, expected, tmp_path):
    data = options(tmp_path, f"short_side=[{short}]", f"long_side={long}")
    assert tuple(int(side) for side in images.resized_size(*size, data)) == expected


@pytest.mark.parametrize(
    "rule, rounded",
    [
        # interpolate of torchvision's detectors, rescale_size of mmcv
        ("floor", math.floor),
        ("half_up", lambda side: int(side + 0.5)),
        ("half_to_even", round),
    ],
)
def test_sizes_are_rounded_as_by_the_original(rule, rounded, rng, tmp_path):
    data = options(tmp_path, f"size_rounding={rule}")
    sizes = [(480, 640), (334, 500), (320, 401), *rng.integers(30, 1500, [497, 2]).tolist()]
    for height, width in sizes:
        factor = min(800 / min(height, width), 1333 / max(height, width))
        expected = rounded(height * factor), rounded(width * factor)
        found = tuple(int(side) for side in images.resized_size(height, width, data))
        assert found == expected, (height, width)


def test_stretch_goes_to_its_size_with_a_static_shape(tmp_path):
    data = options(tmp_path, "resize=stretch", "stretch_size=[20, 30]")
    function = tf.function(
        lambda image: images.resize_image(image, data),
        input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)],
    )
    assert function.get_concrete_function().structured_outputs[0].shape == (20, 30, 3)
    _, scale = function(tf.zeros([40, 40, 3], tf.uint8))
    np.testing.assert_array_equal(scale, [0.5, 0.75])
    assert tuple(images.own_canvas(tf.constant([20, 30]), data).numpy()) == (20, 30)


def test_testing_uses_its_own_short_side(tmp_path):
    image = tf.zeros([10, 20, 3], tf.uint8)
    assert images.resize_image(image, options(tmp_path, "short_side=[30, 40]"))[0].shape[0] == 40
    assert (
        images.resize_image(image, options(tmp_path, "short_side=[30, 40]", "test_short_side=50"))[
            0
        ].shape[0]
        == 50
    )


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["short_side=[37]", "long_side=61", "pad_multiple=1"],
        ["aspect_groups=[1.5]", "pad_multiple=64"],
        ["short_side=[200]", "long_side=150"],
    ],
)
def test_canvases_hold_their_images_and_are_few(overrides, tmp_path):
    data = options(tmp_path, *overrides)
    rng = np.random.default_rng(3)
    sizes = [(int(h), int(w)) for h, w in np.exp(rng.uniform(0, 7, (300, 2)))] + [
        (1, 5000),
        (5000, 1),
        (480, 640),
        (375, 500),
    ]
    table, found = images.canvases(images.evaluation_short_side(data), data), set()
    for height, width in sizes:
        canvas = tuple(table[images.aspect_group(height, width, data)])
        resized = images.resized_size(height, width, data)
        assert canvas[0] >= resized[0] and canvas[1] >= resized[1]
        assert canvas[0] % data.pad_multiple == canvas[1] % data.pad_multiple == 0
        found.add(canvas)
    assert len(found) <= images.num_aspect_groups(data)


@pytest.mark.parametrize(
    "height, width, canvas",
    [(480, 640, (800, 1088)), (640, 480, (1088, 800)), (500, 500, (800, 800))],
)
def test_a_common_canvas_wastes_little(tmp_path, height, width, canvas):
    data = options(tmp_path)
    assert tuple(images.canvases(800, data)[images.aspect_group(height, width, data)]) == canvas


def test_a_image_alone_is_padded_no_more_than_it_must_be(tmp_path):
    assert tuple(images.own_canvas(tf.constant([800, 1066]), options(tmp_path)).numpy()) == (
        800,
        1088,
    )
    assert tuple(
        images.own_canvas(tf.constant([33, 7]), options(tmp_path, "pad_multiple=1")).numpy()
    ) == (33, 7)


def test_padding_adds_zeros_below_and_right():
    padded = images.pad_image(tf.ones([2, 3, 3], tf.uint8), (4, 5)).numpy()
    assert padded.shape == (4, 5, 3) and padded[:2, :3].all() and padded.sum() == 18


def test_the_whole_path_runs_in_a_saved_model(tmp_path):
    data = options(tmp_path, "short_side=[32]", "long_side=64")

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def serve(contents):
        resized = images.resize_image(decode_image(contents), data)[0]
        return images.pad_image(resized, images.own_canvas(tf.shape(resized)[:2], data))

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    exif = Image.Exif()
    exif[0x0112] = 6
    for contents in (encoded(colours(), "PNG"), encoded(colours(), "JPEG", exif=exif)):
        np.testing.assert_array_equal(loaded.serve(contents).numpy(), serve(contents).numpy())
        assert loaded.serve(contents).shape in [(32, 64, 3), (64, 32, 3)]

"""Decoding, resizing and padding images."""

import io

import numpy as np
import pytest
import tensorflow as tf
from data.samples import options
from PIL import Image, ImageOps
from reference.image import resize_bilinear

from lhrcnn.data import images as images


def colours(height=32, width=64):
    """Four flat quarters, so that every flip and turn shows."""
    quarters = np.zeros((height, width, 3), np.uint8)
    quarters[: height // 2, : width // 2], quarters[: height // 2, width // 2 :] = (
        (200, 30, 40),
        (20, 180, 60),
    )
    quarters[height // 2 :, : width // 2], quarters[height // 2 :, width // 2 :] = (
        (30, 50, 220),
        (240, 230, 210),
    )
    return Image.fromarray(quarters)


def encoded(image, kind, **how):
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


decode = tf.function(images.decode_image, input_signature=[tf.TensorSpec([], tf.string)])


def assert_near(found, expected, tolerance):
    assert found.shape == expected.shape and found.dtype == np.uint8
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert np.percentile(difference, 90) <= tolerance  # decoders differ a little next to edges


@pytest.mark.parametrize(
    "kind, mode, tolerance",
    [
        ("JPEG", "RGB", 4),
        ("JPEG", "L", 2),
        ("JPEG", "CMYK", 4),
        ("PNG", "RGB", 0),
        ("PNG", "L", 0),
        ("PNG", "RGBA", 0),
        ("PNG", "LA", 0),
        ("PNG", "P", 0),
        ("BMP", "RGB", 0),
        ("BMP", "L", 0),
        ("BMP", "P", 0),
        ("GIF", "RGB", 0),
    ],
)
def test_decoding_agrees_with_pillow(kind, mode, tolerance):
    contents = encoded(colours().convert(mode), kind)
    assert_near(
        decode(contents).numpy(),
        np.asarray(Image.open(io.BytesIO(contents)).convert("RGB")),
        tolerance,
    )


def test_cmyk_colours_are_those_of_the_image():
    contents = encoded(colours().convert("CMYK"), "JPEG", quality=95)
    assert_near(decode(contents).numpy(), np.asarray(colours()), 6)


def test_16_bit_png_keeps_the_upper_byte():
    values = (np.arange(32 * 64).reshape(32, 64) * 30).astype(np.uint16)
    found = decode(encoded(Image.fromarray(values), "PNG")).numpy()
    np.testing.assert_array_equal(found, np.repeat((values >> 8)[..., np.newaxis], 3, axis=-1))


def test_transparent_pixels_keep_their_colour():
    see_through = np.dstack([np.asarray(colours()), np.zeros((32, 64), np.uint8)])
    np.testing.assert_array_equal(
        decode(encoded(Image.fromarray(see_through), "PNG")).numpy(), np.asarray(colours())
    )


def test_first_frame_of_an_animation():
    contents = encoded(colours(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 32))])
    assert_near(decode(contents).numpy(), np.asarray(colours()), 0)


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("orientation", range(0, 10))
def test_exif_orientation(orientation, endian):
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F], exif[0x0112], exif[0x0131] = "maker", orientation, "program"
    contents = encoded(colours(), "JPEG", quality=95, exif=exif)
    assert (b"MM\0*" if endian == ">" else b"II*\0") in contents[:64]
    header = tf.constant(contents[:4096])
    assert int(images.exif_orientation(header)) == (orientation if 1 <= orientation <= 8 else 1)
    assert_near(
        decode(contents).numpy(),
        np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(contents)))),
        6,
    )


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0garbage" * 9,
    ],
)
def test_broken_exif_leaves_the_image_as_it_is(exif):
    contents = encoded(colours(), "JPEG", quality=95, exif=exif)
    assert decode(contents).shape == (32, 64, 3)


def test_exif_words_in_a_png_mean_nothing():
    contents = encoded(colours(), "PNG")
    assert decode(contents + b"\xff\xe1\0\x20Exif\0\0MM").shape == (32, 64, 3)


@pytest.mark.parametrize(
    "contents", [b"", b"x", b"BM", b"not an image at all", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]
)
def test_other_files_raise(contents):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(contents)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_truncated_files_raise(kind):
    contents = encoded(
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)),
        kind,
    )
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(contents[: len(contents) // 2])


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
        resized = images.resize_image(images.decode_image(contents), data)[0]
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

"""Decoding: every path from a file's bytes to the same pixels."""

import concurrent.futures
import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from data.samples import colours, encoded
from PIL import Image, ImageOps

from lhrcnn.data import decoding, formats, headers
from lhrcnn.errors import DataError

decode = tf.function(decoding.decode_image, input_signature=[tf.TensorSpec([], tf.string)])


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
    assert int(decoding.exif_orientation(header)) == (orientation if 1 <= orientation <= 8 else 1)
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


@pytest.fixture(scope="module")
def in_pipeline():
    """The images of files' bytes, as tf.data decodes them."""
    spec = tf.TensorSpec([None], tf.string)
    decode_two = tf.function(
        lambda files: decoding.decode_in_pipeline(tf.unstack(files, 2)), input_signature=[spec]
    )
    return lambda *files: [image.numpy() for image in decode_two(tf.constant(files))]


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


LOSSLESS = {"WEBP": {"lossless": True, "exact": True}, "TIFF": {}, "AVIF": {"quality": 100}}


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", LOSSLESS)
def test_pillows_formats_are_read_alike_everywhere(kind, orientation, in_pipeline, tmp_path):
    contents = encoded(colours(), kind, exif=turned(orientation), **LOSSLESS[kind])
    expected = np.asarray(colours() if orientation == 1 else colours().transpose(Image.ROTATE_270))
    path = tmp_path / "misnamed.jpg"
    path.write_bytes(contents)
    png = encoded(colours(), "PNG")
    first, second = in_pipeline(png, contents)
    tolerance = 12 if kind == "AVIF" else 0
    assert_near(first, np.asarray(colours()), 0)
    for found in (second, decoding.decode(contents), decoding.read_image(path)):
        assert_near(found, expected, tolerance)
    name = formats.format_of(contents)
    assert name.upper() == kind
    assert headers.read_header(path) == (name, *expected.shape[:2], orientation)
    path.write_bytes(contents[: len(contents) * 2 // 3])
    assert not headers.looks_whole(path)
    with pytest.raises(DataError, match="misnamed.jpg: (not decodable|Pillow cannot read)"):
        decoding.read_image(path)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "I;16", "I;16B"])
def test_modes_of_tiff(mode):
    grey = np.arange(0, 256, 8, dtype=np.uint8).reshape(4, 8)
    if mode.startswith("I;16"):
        order = ">" if mode.endswith("B") else "<"
        image = Image.frombytes(mode, (8, 4), (grey.astype(f"{order}u2") * 257).tobytes())
        expected = np.repeat(grey[..., None], 3, -1)
    else:
        image = colours().convert(mode)
        expected = np.asarray(image.convert("RGB"))
    assert_near(decoding.decode(encoded(image, "TIFF")), expected, 0)


def test_numbers_that_are_no_brightness_are_refused():
    with pytest.raises(DataError, match="32-bit numbers .mode F of Pillow."):
        decoding.decode(encoded(Image.new("F", (4, 3), 0.5), "TIFF"))


def test_first_frames():
    others = {"save_all": True, "append_images": [Image.new("RGB", (64, 32))]}
    for kind, how in (("WEBP", {"lossless": True}), ("TIFF", {}), ("MPO", {"quality": 95})):
        assert_near(
            decoding.decode(encoded(colours(), kind, **others, **how)), np.asarray(colours()), 8
        )


def test_a_gif_whose_first_frame_is_a_part_of_its_screen(tmp_path, in_pipeline):
    """Of such a file TensorFlow gives the frame alone, as if it were at the corner."""
    contents = bytearray(encoded(colours().convert("P"), "GIF"))
    contents[6:10] = struct.pack("<HH", 90, 50)  # the screen; the image is 64 x 32
    start = contents.index(struct.pack("<HHHH", 0, 0, 64, 32))
    contents[start : start + 4] = struct.pack("<HH", 20, 10)
    (tmp_path / "a.gif").write_bytes(contents)
    expected = decoding.as_rgb(Image.open(tmp_path / "a.gif"))
    assert expected.shape == (50, 90, 3) == (*headers.image_size(tmp_path / "a.gif"), 3)
    np.testing.assert_array_equal(decoding.read_image(tmp_path / "a.gif"), expected)
    for image in in_pipeline(bytes(contents), bytes(contents)):
        np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(expected[10:42, 20:84], decoding.as_rgb(colours().convert("P")))


REFUSED = {
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "JPEG XL": b"\xff\x0a\x00",
    "Photoshop": b"8BPS\0\1",
    "video": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom....avif",
    "HTML": b"\n<!doctype html><title>404",
    "SVG": b"<svg xmlns=",
    "PDF": b"%PDF-1.7",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1",
    "DICOM": bytes(128) + b"DICM",
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_formats_are_refused_by_name(name, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(REFUSED[name])
    text = f"a.jpg: not readable as an image: it is a {name} file; JPEG, PNG, BMP, GIF, WebP"
    for read in (decoding.read_image, headers.read_header):
        with pytest.raises(DataError, match=text):
            read(path)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(REFUSED[name])


def test_tensorflow_decodes_nothing_but_what_exports_offer():
    with pytest.raises(tf.errors.InvalidArgumentError):  # TensorFlow 2.21 knows WebP
        decode(encoded(colours(), "WEBP"))


def test_heic(tmp_path):
    brands = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    assert formats.format_of(brands) == "HEIC"
    try:
        import pillow_heif
    except ImportError:
        with pytest.raises(DataError, match="HEIC files need a decoder .*lhrcnn.heic"):
            decoding.decode(brands)
        return
    path = tmp_path / "a.heic"
    pillow_heif.from_pillow(colours(64, 128)).save(path, quality=-1)
    assert_near(decoding.read_image(path), np.asarray(colours(64, 128)), 8)
    assert headers.image_size(path) == (64, 128)


@pytest.mark.parametrize(
    "mode, how",
    [
        ("RGB", {}),
        ("RGB", {"subsampling": 0, "quality": 95}),
        ("RGB", {"subsampling": 1, "progressive": True, "quality": 40}),
        ("L", {}),
    ],
)
def test_accurate_jpeg_files_have_pillows_pixels(mode, how, rng, tmp_path):
    coarse = Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    image = coarse.resize((93, 61), Image.Resampling.BICUBIC).convert(mode)
    jpeg, png = encoded(image, "JPEG", **how), encoded(image, "PNG")
    expected = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
    path = tmp_path / "image"
    path.write_bytes(jpeg)
    files = [tf.constant(jpeg), tf.constant(png)]
    found, other = tf.function(lambda: decoding.decode_in_pipeline(files, True))()
    for pixels in (
        found,
        tf.function(lambda: decoding.decode_image(files[0], True))(),
        decoding.read_image(path, True),
    ):
        np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(other, np.asarray(image.convert("RGB")))
    assert np.abs(decoding.read_image(path).astype(int) - expected).max() > 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_images_beyond_tensorflows_limit_are_read_by_pillow(kind, in_pipeline, monkeypatch):
    contents, png = encoded(colours(), kind), encoded(colours(), "PNG")
    assert not decoding.needs_care(contents)
    monkeypatch.setattr(decoding, "_MOST_BYTES", 3 * 32 * 64)
    monkeypatch.setattr(decoding, "_SMALL_BYTES", 0)
    monkeypatch.setattr(decoding, "decode_image", None)
    assert decoding.needs_care(contents)
    for found in (decoding.decode(contents), *in_pipeline(contents, png)):
        assert_near(found, np.asarray(colours()), 8)


def test_threads_that_begin_together_are_not_warned_of_retracing(tmp_path, caplog):
    paths = [tmp_path / f"{index}.png" for index in range(16)]
    for path in paths:
        path.write_bytes(encoded(colours(), "PNG"))
    decoding._graph.cache_clear()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        images = list(pool.map(decoding.read_image, paths))
    assert len({image.tobytes() for image in images}) == 1
    assert "retracing" not in caplog.text


def bmp(bits, rows, palette=b"", compression=0):
    """A BMP file of 7 x 5 px."""
    sizes = struct.pack("<IiiHHIIiiII", 40, 7, 5, 1, bits, compression, len(rows), 0, 0, 0, 0)
    start = 14 + len(sizes) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + sizes + palette + rows


ODD_BMP = {
    "1 bit": encoded(colours(5, 7).convert("1"), "BMP"),
    "4 bits": bmp(4, b"\x10\x32\x54\x70" * 5, bytes(range(64))),
    "16 bits": bmp(16, bytes(range(80))),
    "run lengths": bmp(8, b"\x03\x01\x04\x02\0\0" * 5 + b"\0\1", bytes(range(256)) * 4, 1),
}


@pytest.mark.parametrize("kind", ODD_BMP)
def test_bmp_files_that_tensorflow_does_not_know_are_read_by_pillow(kind, in_pipeline):
    expected = np.asarray(Image.open(io.BytesIO(ODD_BMP[kind])).convert("RGB"))
    assert expected.shape == (5, 7, 3) and expected.std() > 0
    piped, _ = in_pipeline(ODD_BMP[kind], encoded(colours(), "PNG"))
    for found in (decoding.decode(ODD_BMP[kind]), piped):
        np.testing.assert_array_equal(found, expected)


def test_a_pil_image_that_cannot_become_rgb_is_named():
    with pytest.raises(DataError, match="not decodable: conversion from La"):
        decoding.as_rgb(Image.new("La", (3, 3)))

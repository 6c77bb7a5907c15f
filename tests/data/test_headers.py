"""What the headers of image files say, against Pillow and against the graph's decoder."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from lhrcnn.data import decoding, headers
from lhrcnn.errors import DataError

STORED = Image.fromarray(
    np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3, 1) * 40, np.ones((16, 16, 3), np.uint8))
)  # 32 high, 48 wide


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x0131] = "maker", orientation, "program"
    return exif


def encoded(kind, **options):
    file = io.BytesIO()
    STORED.save(file, kind, **options)
    return file.getvalue()


def png_with_late_exif(orientation):
    contents, tiff = encoded("PNG"), exif_of(orientation).tobytes()[6:]
    chunk = b"eXIf" + tiff
    late = struct.pack(">I", len(tiff)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return contents[:-12] + late + contents[-12:]


def jpeg_with_xmp_first(orientation):
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + b"x Exif\0\0II*\0 " * 600
    contents = encoded("JPEG", exif=exif_of(orientation))
    return contents[:2] + b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + contents[2:]


def mpo(orientation):
    other = Image.new("RGB", (48, 32))
    return encoded("MPO", exif=exif_of(orientation), save_all=True, append_images=[other])


FILES = {
    "jpeg": lambda turn: encoded("JPEG", exif=exif_of(turn)),
    "mpo": mpo,
    "icc before": lambda turn: encoded("JPEG", exif=exif_of(turn), icc_profile=bytes(5000)),
    "xmp before": jpeg_with_xmp_first,
    "fill bytes": lambda turn: (lambda c: c[:2] + b"\xff" * 7 + c[2:])(FILES["jpeg"](turn)),
    "png": lambda turn: encoded("PNG", exif=exif_of(turn)),
    "png, exif last": png_with_late_exif,
}


@pytest.mark.parametrize("kind", FILES)
def test_one_rule_for_orientation_everywhere(tmp_path, kind):
    decode = tf.function(decoding.decode_image, input_signature=[tf.TensorSpec([], tf.string)])
    for orientation in (1, 3, 6, 8):
        contents = FILES[kind](orientation)
        shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(contents)))).astype(int)
        assert headers.orientation(contents) == orientation
        (tmp_path / "file").write_bytes(contents)
        assert headers.image_size(tmp_path / "file") == shown.shape[:2]
        assert headers.looks_whole(tmp_path / "file")
        pixels = decoding.as_shown(Image.open(io.BytesIO(contents)))
        np.testing.assert_array_equal(np.asarray(pixels), shown)
        for found in (decode(contents), decoding.decode_image(tf.constant(contents))):
            assert found.shape == shown.shape and np.abs(found.numpy() - shown).max() <= 6
        assert decoding.needs_care(contents) == (orientation > 1)


def test_exif_is_not_looked_for_behind_the_frame():
    turned = encoded("JPEG", exif=exif_of(6))
    start = turned.index(b"\xff\xe1")
    segment = turned[start : start + 2 + struct.unpack_from(">H", turned, start + 2)[0]]
    assert headers.orientation(encoded("JPEG")[:-2] + segment) == 1
    assert headers.orientation(b"GIF89a" + turned[2:]) == 1 and headers.orientation(b"") == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_sizes_and_ends(tmp_path, kind):
    path, contents = tmp_path / "file", encoded(kind)
    path.write_bytes(contents)
    assert headers.read_header(path) == (kind, 32, 48, 1) and headers.looks_whole(path)
    path.write_bytes(contents + bytes(100 if kind in ("JPEG", "BMP") else 0))
    assert headers.looks_whole(path)
    path.write_bytes(contents[: len(contents) * 2 // 3])
    assert not headers.looks_whole(path)


def test_an_image_of_180_megapixels_is_not_read(tmp_path):
    header = struct.pack(">IIBBBBB", 18000, 10000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    chunk = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    assert headers.image_size(tmp_path / "large.png") == (10000, 18000)


@pytest.mark.parametrize(
    "contents, words",
    [
        (b"no image", "it begins with b.no image.; JPEG, PNG, BMP, GIF, WebP"),
        (b"", "the file is empty"),
        (b"\xff\xd8\xff\xe0", "it ends in its header"),
        (b"\x89PNG\r\n\x1a\n", "it ends in its header"),
        (b"BM", "it ends in its header"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, contents, words):
    (tmp_path / "text.jpg").write_bytes(contents)
    with pytest.raises(DataError, match=f"text.jpg: not readable as an image: {words}"):
        headers.image_size(tmp_path / "text.jpg")
    with pytest.raises(DataError, match="gone.jpg: no such image file"):
        headers.image_size(tmp_path / "gone.jpg")
    with pytest.raises(DataError, match="Is a directory"):
        headers.image_size(tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_what_xmp_says_turns_size_and_pixels_alike(tmp_path, kind):
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    how = {"PNG": {"pnginfo": text}, "TIFF": {"tiffinfo": {700: xmp}}}.get(kind, {"xmp": xmp})
    Image.new("RGB", (48, 32)).save(tmp_path / "file", kind, **how)
    assert headers.image_size(tmp_path / "file") == decoding.read_image(tmp_path / "file").shape[:2]

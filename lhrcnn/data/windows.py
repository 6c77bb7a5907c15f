"""Images that are too large to be decoded at once, read in parts.

Shape letters: H W of the image as shown, px; a window is (top, left, bottom, right) px of it.
"""

import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image

from lhrcnn.data import decoding, formats, headers
from lhrcnn.errors import DataError

_LARGE_PX = 40_000_000  # images up to here are decoded whole
_JPEG_RATIOS = (8, 4, 2, 1)
_BAND_PX = 4_000_000  # that are shrunk at a time


def open_windows(image, accurate_jpeg=False):
    """The windows of a uint8 array [H, W, 3], of a PIL image, or of an image file: an object with
    `size` (H, W), `read(window)` -> uint8 [h, w, 3], and `reduced(longest)`.

    accurate_jpeg: as of DataConfig.
    Raises DataError naming the file."""
    if isinstance(image, np.ndarray):
        return _Decoded(image)
    if isinstance(image, Image.Image):
        return _Decoded(decoding.as_rgb(image))
    header = headers.read_header(image)
    if header.height * header.width <= _LARGE_PX:
        return _Decoded(decoding.read_image(image, accurate_jpeg))
    if header.format == "JPEG":
        try:
            return _Jpeg(image, header, decoding.dct_method(accurate_jpeg))
        except DataError:
            pass  # from 2^29 bytes on TensorFlow decodes no part either
    return _Pillow(image, header)


class _Decoded:
    """An image in memory."""

    def __init__(self, pixels):
        self._pixels, self.size = pixels, pixels.shape[:2]

    def read(self, window):
        """uint8 [h, w, 3] of a window."""
        top, left, bottom, right = window
        return self._pixels[top:bottom, left:right]

    def reduced(self, longest):
        """The whole image, uint8 [h, w, 3], shrunk by a whole number to no less than `longest` px
        of its longer side."""
        del longest
        return self._pixels


class _File:
    """An image file of which windows are decoded: as stored, then turned by EXIF."""

    def __init__(self, path, header):
        self.size, self._path = (header.height, header.width), path
        self._orientation = header.orientation
        try:
            self._open(path, header)
        except Exception as error:  # noqa: BLE001  Pillow's plugins raise what they like
            raise DataError(f"{path}: cannot be read: {error}") from None

    def read(self, window):
        """As of `_Decoded`. Raises DataError naming the file."""
        top, left, bottom, right = window
        (height, width), turn = self.size, self._orientation
        if turn in (3, 4, 7, 8):
            top, bottom = height - bottom, height - top
        if turn in (2, 3, 6, 7):
            left, right = width - right, width - left
        if turn >= 5:
            top, left, bottom, right = left, top, right, bottom
        return self._as_shown(self._stored, (top, left, bottom, right))

    def reduced(self, longest):
        """As of `_Decoded`."""
        return self._as_shown(self._stored_reduced, longest)

    def _as_shown(self, decode, argument):
        try:
            return decoding.orient(decode(argument), tf.constant(self._orientation)).numpy()
        except (tf.errors.OpError, DataError) as error:
            raise DataError(f"{self._path}: not decodable: {error}") from None


class _Jpeg(_File):
    def __init__(self, path, header, dct_method):
        self._how = {"channels": 3, "dct_method": dct_method}
        super().__init__(path, header)

    def _open(self, path, header):
        del header
        self._contents = tf.constant(pathlib.Path(path).read_bytes())
        self._stored((0, 0, 1, 1))

    def _stored(self, window):
        top, left, bottom, right = window
        part = [top, left, bottom - top, right - left]
        return tf.io.decode_and_crop_jpeg(self._contents, part, **self._how)

    def _stored_reduced(self, longest):
        ratio = next(r for r in _JPEG_RATIOS if r == 1 or max(self.size) >= longest * r)
        return tf.io.decode_jpeg(self._contents, ratio=ratio, **self._how)


class _Pillow(_File):
    """Decoded whole by Pillow, at up to 4 bytes a px; the windows alone become arrays."""

    def _open(self, path, header):
        with open(path, "rb") as file:
            self._image = formats.open_with_pillow(file)
            self._image.load()
        if header.format == "TIFF":
            self._orientation = 1  # Pillow has turned it

    def _stored(self, window):
        top, left, bottom, right = window
        return decoding.rgb_of(self._image.crop((left, top, right, bottom)))

    def _stored_reduced(self, longest):
        (width, height), factor = self._image.size, max(1, max(self._image.size) // longest)
        rows = factor * max(1, _BAND_PX // (factor * width))
        # Pillow shrinks no palettes and no 16 bits, and weighs colours by alpha
        bands = (
            self._stored((top, 0, min(top + rows, height), width)) for top in range(0, height, rows)
        )
        return np.concatenate([np.asarray(Image.fromarray(band).reduce(factor)) for band in bands])

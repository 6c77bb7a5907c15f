"""Which image formats are read, and by what. The first bytes of a file decide, never its name: no
decoder is given a file of another format.

TensorFlow decodes JPEG (MPO is one with more images behind it), PNG, GIF and BMP, in exported
models too; Pillow decodes the others.
"""

import re

from lhrcnn.choices import resolve
from lhrcnn.errors import DataError

# Beginnings of what TensorFlow decodes.
STOCK = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
}
# Format -> Pillow's class for it; `Image.open` would refuse images beyond 179 megapixels. The first
# four are for images that are too large for TensorFlow.
PILLOW = {
    "JPEG": "PIL.JpegImagePlugin:JpegImageFile",
    "PNG": "PIL.PngImagePlugin:PngImageFile",
    "GIF": "PIL.GifImagePlugin:GifImageFile",
    "BMP": "PIL.BmpImagePlugin:BmpImageFile",
    "WebP": "PIL.WebPImagePlugin:WebPImageFile",
    "TIFF": "PIL.TiffImagePlugin:TiffImageFile",
    "AVIF": "PIL.AvifImagePlugin:AvifImageFile",
    "HEIC": "pillow_heif:HeifImageFile",
}
_OTHERS = [
    ("WebP", rb"RIFF....WEBP"),
    ("TIFF", rb"II[*+]\0|MM\0[*+]"),
    ("AVIF", rb"....ftyp.*(avif|avis)"),
    ("HEIC", rb"....ftyp.*(hei[cxms]|hev[cxms]|mif1|msf1)"),
    ("JPEG 2000", rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  "),
    ("JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL "),
    ("Photoshop", rb"8BPS"),
    ("OpenEXR", rb"v/1\x01"),
    ("Radiance HDR", rb"#\?R"),
    ("PNM", rb"P[1-7]\s"),
    ("DICOM", rb".{128}DICM"),
    ("PDF", rb"%PDF"),
    ("video", rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI "),
    ("Git LFS pointer", rb"version https://git-lfs"),
    ("HTML", rb"\s*<(!DOCTYPE html|html)"),
    ("SVG", rb"\s*<(\?xml|svg)"),
]
_PATTERNS = [(name, re.compile(pattern, re.DOTALL | re.IGNORECASE)) for name, pattern in _OTHERS]
IMAGE_SUFFIXES = tuple(
    ".jpg .jpeg .jpe .jfif .mpo .png .bmp .gif .webp .tif .tiff .avif .heic .heif".split()
)
READ = "JPEG, PNG, BMP, GIF, WebP, TIFF, AVIF and HEIC files are read"


def format_of(data):
    """The name of the format of a file's bytes, whether it is read or not; "" for an unknown
    one."""
    for start, name in STOCK.items():
        if data[: len(start)] == start:
            return name
    head = bytes(data[:256])
    if head[4:8] == b"ftyp":
        head = head[: max(12, int.from_bytes(head[:4], "big"))]
    return next((name for name, pattern in _PATTERNS if pattern.match(head)), "")


def refusal(data):
    """Why a file with these bytes is not read."""
    if not len(data):
        return "the file is empty"
    name = format_of(data)
    found = f"it is a {name} file" if name else f"it begins with {bytes(data[:8])!r}"
    return f"{found}; {READ}"


def open_with_pillow(file):
    """The PIL image of an open file of a format in PILLOW; its pixels are not decoded yet.

    Raises DataError, without the file's name, for another format and where Pillow cannot."""
    head = file.read(256)
    file.seek(0)
    name = format_of(head)
    if name not in PILLOW:
        raise DataError(refusal(head))
    try:
        return resolve(PILLOW[name])(file)
    except ImportError:
        extra = "pip install 'lhrcnn[heic]'" if name == "HEIC" else "install Pillow 11.3 or newer"
        raise DataError(f"{name} files need a decoder that is not installed: {extra}") from None
    except Exception as error:  # noqa: BLE001  Pillow's plugins raise what they like
        raise DataError(f"Pillow cannot read this {name} file: {error}") from None

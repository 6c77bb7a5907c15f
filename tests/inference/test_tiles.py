"""Large images: windows of files, tiles, and what is made of the detections in them."""

import types

import numpy as np
import pytest
from PIL import Image

from lhrcnn.data import decoding, windows
from lhrcnn.errors import DataError, UsageError
from lhrcnn.inference import MERGES, tiles
from lhrcnn.inference.prediction import Prediction


def smooth(height, width):
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 255 // height, x * 255 // width, (x + y) % 256], -1).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_windows_of_a_large_file_are_parts_of_the_whole(kind, orientation, tmp_path, monkeypatch):
    path, exif = tmp_path / "large", Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth(90, 140)).save(path, kind, exif=exif, quality=100)
    whole = decoding.read_image(path, accurate_jpeg=True)
    monkeypatch.setattr(windows, "_LARGE_PX", 1000)
    opened = windows.open_windows(path, accurate_jpeg=True)
    assert opened.size == whole.shape[:2] and not isinstance(opened, windows._Decoded)
    for top, left, bottom, right in ((0, 0, 30, 50), (17, 33, 80, 90), (60, 70, 90, 90)):
        found = opened.read((top, left, bottom, right))
        np.testing.assert_allclose(found, whole[top:bottom, left:right].astype(int), atol=8)
    small = opened.reduced(longest=35)
    assert small.shape[:2] == (whole.shape[0] // 4 + (whole.shape[0] % 4 > 0),) + (
        whole.shape[1] // 4 + (whole.shape[1] % 4 > 0),
    )


def test_a_damaged_large_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(windows, "_LARGE_PX", 1000)
    for kind in ("JPEG", "PNG"):
        path = tmp_path / "large.x"
        Image.fromarray(smooth(90, 140)).save(path, kind)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(DataError, match="large.x"):
            windows.open_windows(path).read((0, 0, 90, 140))


@pytest.mark.parametrize("size", [(100, 100), (640, 641), (1000, 3000), (5, 2000), (1281, 640)])
@pytest.mark.parametrize("side, overlap", [(640, 0.2), (100, 0.0), (300, 0.5)])
def test_tiles_cover_an_image_and_overlap(size, side, overlap):
    found = tiles.tile_windows(*size, side, overlap)
    covered = np.zeros(size, bool)
    for top, left, bottom, right in found:
        covered[top:bottom, left:right] = True
        assert bottom - top == min(side, size[0]) and right - left == min(side, size[1])
    assert covered.all()
    for axis in (0, 1):
        starts = np.unique(found[:, axis])
        assert (np.diff(starts) <= int(side * (1 - overlap))).all()
        rest = max(0, size[axis] - side)
        assert len(starts) <= 1 + np.ceil(rest / (side * (1 - overlap)) + 0.01)


class Blobs:
    """Stands for a detector: finds the bright rectangles of an image exactly, as it sees them."""

    class_names, category_ids = ["blob"], [1]
    config = types.SimpleNamespace(
        data=types.SimpleNamespace(
            short_side=[200], test_short_side=0, long_side=300, accurate_jpeg=False
        ),
        model=types.SimpleNamespace(postprocess=types.SimpleNamespace(nms_iou=0.5)),
    )

    def __init__(self, smallest=0):
        self.smallest = smallest

    def predict_each(self, images, batch_size):
        for image in images:
            yield image, self.predict(image)

    def predict(self, image):
        boxes = []
        for value in np.unique(image[..., 0]):
            y, x = np.nonzero(image[..., 0] == value)
            box = [y.min(), x.min(), y.max() + 1, x.max() + 1]
            if value > 100 and np.prod(np.subtract(box[2:], box[:2])) >= self.smallest:
                boxes.append(box)
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        extent = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        number = len(boxes)
        scores = (0.5 + extent / 1e5).clip(max=0.99).astype(np.float32)
        return Prediction(
            boxes, scores, np.zeros(number, np.int32), ["blob"] * number, [1] * number,
            image.shape[:2],
        )  # fmt: skip


def scattered(rng, height=700, width=900, number=25, large=20):
    """(image, boxes) of rectangles apart from each other, each of a brightness of its own."""
    image, boxes = np.zeros([height, width, 3], np.uint8), []
    while len(boxes) < number:
        size = rng.integers(8, large, 2)
        corner = rng.integers(0, [height, width] - size)
        box = np.concatenate([corner, corner + size])
        if not image[max(0, box[0] - 3) : box[2] + 3, max(0, box[1] - 3) : box[3] + 3].any():
            image[box[0] : box[2], box[1] : box[3]] = 101 + len(boxes)
            boxes.append(box)
    return image, np.array(boxes)


@pytest.mark.parametrize("merge", MERGES)
def test_every_small_object_is_found_once(merge):
    rng = np.random.default_rng(0)
    image, boxes = scattered(rng)
    detector = tiles.TiledDetector(Blobs(), side=160, overlap=0.2, merge=merge)
    found = detector.predict(image)
    assert len(found) == len(boxes) and found.size == (700, 900)
    order, expected = np.lexsort(found.boxes.T), np.lexsort(boxes.T)
    np.testing.assert_allclose(found.boxes[order], boxes[expected], atol=1e-3)
    alone = detector.predict(image[:150, :150])
    assert len(alone) == len(Blobs().predict(image[:150, :150]))


def test_images_are_what_a_predictor_takes():
    image, boxes = scattered(np.random.default_rng(0))
    detector = tiles.TiledDetector(Blobs(), side=160)
    for same in (image[..., 0], image[..., :1], Image.fromarray(image)):
        assert len(detector.predict(same)) == len(boxes)
    for wrong in ([1, 2], image.astype(float), image[None]):
        with pytest.raises(DataError, match="predict: found an array of .* allowed: uint8"):
            detector.predict(wrong)


def test_parts_of_an_object_larger_than_a_tile_give_way_to_the_whole_one():
    image = np.zeros([700, 900, 3], np.uint8)
    image[100:600, 200:700] = 200
    found = tiles.TiledDetector(Blobs(), side=160, overlap=0.2).predict(image)
    whole = found.boxes[0]
    np.testing.assert_allclose(whole, [100, 200, 600, 700], atol=4)
    assert len(found) == 1 or found.scores[1] < found.scores[0]


def test_wrong_tiles_are_refused():
    for options in ({"side": 8}, {"overlap": 1.0}, {"merge": "sum"}):
        with pytest.raises(UsageError, match="allowed: from 16 px"):
            tiles.TiledDetector(Blobs(), **options)


MODES = [("P", "PNG"), ("1", "TIFF"), ("L", "PNG"), ("I;16", "PNG"), ("RGBA", "PNG"), ("P", "GIF")]


@pytest.mark.parametrize("mode, kind", MODES)
def test_large_files_of_any_mode_are_shrunk_as_their_pixels(mode, kind, tmp_path, monkeypatch):
    path, image = tmp_path / "large", Image.fromarray(smooth(90, 140))
    if mode == "I;16":
        image = Image.fromarray(smooth(90, 140)[..., 0].astype(np.uint16) * 257)
    elif mode == "RGBA":
        image.putalpha(Image.fromarray(smooth(90, 140)[..., 1]))
    else:
        image = image.convert(mode)
    image.save(path, kind)
    whole = decoding.read_image(path)
    monkeypatch.setattr(windows, "_LARGE_PX", 1000)
    monkeypatch.setattr(windows, "_BAND_PX", 1000)
    opened = windows.open_windows(path)
    np.testing.assert_array_equal(opened.read((17, 33, 80, 90)), whole[17:80, 33:90])
    expected = np.asarray(Image.fromarray(whole).reduce(4))
    np.testing.assert_array_equal(opened.reduced(longest=35), expected)

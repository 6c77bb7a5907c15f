"""Synthetic scene text: what is written where the ground truth says, and the same for a seed."""

import hashlib

import numpy as np
import pytest
from data.samples import options, save_image
from PIL import Image

from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.tools import words
from lhrcnn.errors import DataError


@pytest.fixture
def images(tmp_path):
    for number in range(6):
        save_image(
            tmp_path / "images" / "deep" / f"{number}.jpg", 160, 240 if number else 900, number
        )
    return tmp_path / "images"


def test_words_are_where_the_boxes_say():
    """Outside the boxes nothing but noise changes; inside each box its border rows and columns
    do."""
    rng = np.random.default_rng(3)
    background = np.full([200, 300, 3], 128, np.uint8)
    image, boxes, texts = words.write_words(rng, background, words.usable_fonts())
    assert len(boxes) == len(texts) > 2
    changed = np.abs(image.astype(int) - 128).mean(2) > 25
    outside = changed.copy()
    for ymin, xmin, ymax, xmax in boxes:
        assert 0 <= ymin < ymax <= 200 and 0 <= xmin < xmax <= 300
        part = changed[ymin:ymax, xmin:xmax]
        assert (
            part.any()
            and part[:2].any()
            and part[-2:].any()
            and part[:, :2].any()
            and part[:, -2:].any()
        )
        outside[max(ymin - 1, 0) : ymax + 1, max(xmin - 1, 0) : xmax + 1] = False
    assert outside.mean() < 0.002


def test_a_data_set_that_can_be_opened_and_depends_on_the_seed_alone(images, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words.make_text(tmp_path / name, images, seed, num_train=4, num_val=2)
    digests = [
        hashlib.sha256(
            b"".join(path.read_bytes() for path in sorted((tmp_path / name).rglob("*.*")))
        ).hexdigest()
        for name in "abc"
    ]
    assert digests[0] == digests[1] != digests[2]
    config = options(tmp_path / "a", "format=icdar")
    train, val = (open_dataset(config, split) for split in ("train", "val"))
    assert (len(train.records), len(val.records), train.problems) == (4, 2, []) and sum(
        len(r.boxes) for r in train.records
    ) > 4
    with Image.open(train.records[0].path) as image:
        assert max(image.size) <= 480


def test_fonts_without_letters_are_passed_over(monkeypatch, tmp_path):
    (tmp_path / "emoji.ttf").write_bytes(b"no letters")
    monkeypatch.setattr(words.font_manager, "findSystemFonts", lambda: [tmp_path / "emoji.ttf"])
    assert any(path.endswith("DejaVuSans.ttf") for path in words.usable_fonts())


def test_backgrounds_are_what_is_shown_of_any_size(monkeypatch, tmp_path):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg", exif=exif)
    assert words._background(tmp_path / "a.jpg").shape == (60, 40, 3)


def test_wrong_folders(images, tmp_path):
    with pytest.raises(DataError, match="0 images in this folder"):
        words.make_text(tmp_path / "out", tmp_path / "nothing")
    with pytest.raises(DataError, match="not empty"):
        words.make_text(images, images)
    (tmp_path / "broken").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "broken" / name).write_bytes(b"no image")
    with pytest.raises(DataError, match=r"\d.jpg: not readable as an image"):
        words.make_text(tmp_path / "out", tmp_path / "broken", num_train=1, num_val=1)

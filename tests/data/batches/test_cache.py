"""Decoded images on disk. That batches are the same with it is tested with the pipeline."""

import dataclasses
import os

import numpy as np
import pytest
from data.samples import options, write_sized
from PIL import Image

from lhrcnn.data.batches import cache
from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.images import resize_image
from lhrcnn.errors import DataError


@pytest.fixture
def opened(tmp_path):
    """(options, records) of two images, with a cache."""
    data = options(
        write_sized(tmp_path, [(20, 30), (40, 30)]),
        "format=coco",
        "short_side=[10, 16]",
        f"cache_dir={tmp_path / 'cache'}",
    )
    return data, open_dataset(data, "train").records


def files(data):
    return sorted(os.listdir(data.cache_dir))


def test_files_hold_the_resized_images(opened):
    data, records = opened
    paths = cache.fill(records, data, [10, 16])
    assert paths.shape == (2, 2) and len(files(data)) == 4
    for record, row in zip(records, paths):
        for side, path in zip((10, 16), row):
            np.testing.assert_array_equal(
                cache.read(path), resize_image(np.asarray(Image.open(record.path)), data, side)[0]
            )


@pytest.mark.parametrize(
    "height, width, size",
    [(128, 192, (64, 96)), (127, 192, (127, 192)), (300, 500, (64, 106)), (40, 30, (40, 30))],
)
def test_where_windows_are_cut_large_images_are_as_small_as_the_smallest_needs(
    tmp_path, height, width, size
):
    folder = write_sized(tmp_path, [(height, width)])
    data = options(folder, "format=coco", "min_crop=0.5", f"cache_dir={tmp_path / 'cache'}")
    records = open_dataset(data, "train").records
    paths = cache.fill(records, data, [24, 32])
    assert paths.shape == (1, 1) and cache.read(paths[0, 0]).shape == (*size, 3)


def test_what_is_there_is_not_made_again(opened):
    data, records = opened
    first = cache.fill(records, data, [10, 16])
    times = {name: os.stat(os.path.join(data.cache_dir, name)).st_mtime_ns for name in files(data)}
    np.testing.assert_array_equal(cache.fill(records, data, [10, 16]), first)
    assert times == {
        name: os.stat(os.path.join(data.cache_dir, name)).st_mtime_ns for name in files(data)
    }
    os.remove(first[1, 0])
    cache.fill(records, data, [10, 16])
    assert len(files(data)) == 4


def test_changed_images_and_options_have_files_of_their_own(opened, tmp_path):
    data, records = opened
    names = {str(cache.fill(records, data, [10])[0, 0])}
    for change in ("antialias=true", "long_side=12", "resize=stretch", "accurate_jpeg=true"):
        changed = options(tmp_path, "format=coco", f"cache_dir={data.cache_dir}", change)
        names.add(str(cache.fill(records, changed, [10])[0, 0]))
    Image.new("RGB", (30, 20), "red").save(records[0].path)
    names.add(str(cache.fill(records, data, [10])[0, 0]))
    assert len(names) == 6


def test_an_interrupted_write_leaves_nothing_that_is_read(opened, monkeypatch):
    data, records = opened

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        cache.fill(records, data, [10])
    assert not files(data)
    monkeypatch.undo()
    paths = cache.fill(records, data, [10])
    np.testing.assert_array_equal(
        cache.read(paths[0, 0]), resize_image(np.asarray(Image.open(records[0].path)), data, 10)[0]
    )


def test_unreadable_images_are_named(opened):
    data, records = opened
    with open(records[0].path, "wb") as file:
        file.write(b"nothing")
    Image.new("RGB", (9, 9)).save(records[1].path)
    words = (
        r"(?s)2 images cannot be cached.*1.png: not readable as an image.*2.png: the image is 9 x 9"
        r".*on_error=skip"
    )
    with pytest.raises(DataError, match=words):
        cache.fill(records, data, [10])


def test_a_folder_that_cannot_be_used(opened, tmp_path):
    data, records = opened
    (tmp_path / "file").write_text("")
    data = dataclasses.replace(data, cache_dir=str(tmp_path / "file"))
    with pytest.raises(DataError, match="file: cannot be used as data.cache_dir"):
        cache.fill(records, data, [10])


def test_a_full_disk_is_told(opened, monkeypatch):
    data, records = opened

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match="cache: No space left on device"):
        cache.fill(records, data, [10])

"""lhrcnn.data.readers.kept: read once, again where a file changes; nothing in the data folder."""

import os

import pytest
from data.reading import images, write
from data.samples import options

from lhrcnn.data.readers import auto, kept, lookup, yolo
from lhrcnn.errors import DataError


def read(folder, split="*"):
    return auto.read_part(options(folder, "format=yolo"), split)


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """How often label files were parsed, by their folder; the cache is a folder of the test's."""
    monkeypatch.setenv("LHRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "FROM_FILES", 4)
    found = []

    def counted(file, *rest, parse=yolo._boxes):
        found.append(file.name)
        return parse(file, *rest)

    monkeypatch.setattr(yolo, "_boxes", counted)
    return found


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    images(data, "images/a.jpg", "images/b.jpg")
    lines = "0 .5 .5 .2 .2\n1 .5 .5 3 3\n"
    write(data, {"labels/a.txt": lines, "labels/b.txt": "", "classes.txt": "ant\nbee\n"})
    return data


def test_a_folder_is_read_once(folder, calls):
    before, there = read(folder), lookup.walk(folder)
    assert calls
    calls.clear()
    again = read(folder)
    assert not calls and again.digest() == before.digest() and lookup.walk(folder) == there
    assert again.problems == before.problems and len(again.problems) == 1
    assert [record.path for record in again.records] == [record.path for record in before.records]
    assert again.class_names == ["ant", "bee"] and again.category_ids == before.category_ids
    assert again.records[0].boxes.dtype == "float32" and again.records[0].ignore.dtype == bool


def test_a_changed_file_is_read(folder, calls):
    label = folder / "labels" / "a.txt"
    assert len(read(folder).records[0].boxes) == 1
    status = os.stat(label)
    label.write_text("0 .5 .5 .2 .2\n1 .5 .5 .3 .3\n0 .5 .5 .1 .1\n")
    assert len(read(folder).records[0].boxes) == 3
    label.write_text("0 .5 .5 .2 .2\n1 .5 .5 3 3\n")  # of the first length, at another time
    os.utime(label, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert len(read(folder).records[0].boxes) == 1
    (folder / "images" / "b.jpg").unlink()
    assert len(read(folder).records) == 1


def test_options_and_splits_do_not_share_what_is_kept(folder, calls):
    assert len(read(folder).records) == 2
    with pytest.raises(DataError, match="splits found"):
        read(folder, "fold7")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut off"])
def test_a_spoilt_cache_file_is_written_anew(folder, calls, content):
    read(folder)
    (file,) = kept.cache_dir().glob("data/*.npz")
    file.write_bytes(content)
    assert len(read(folder).records[0].boxes) == 1
    assert file.stat().st_size > len(content)


def test_a_cache_that_cannot_be_written_is_done_without(folder, calls, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LHRCNN_CACHE", str(tmp_path / "file"))
    assert len(read(folder).records) == 2

"""Detection in shards, as files: what is kept, what a restart does, what is refused."""

import dataclasses
import json
import os
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from scenes import record

from lhrcnn.data.schema import Dataset
from lhrcnn.errors import DataError, OutputError, UsageError
from lhrcnn.evaluation.detections import from_results
from lhrcnn.files import Output
from lhrcnn.inference import bulk
from lhrcnn.inference.export.exported import ExportedDetector
from lhrcnn.inference.prediction import Prediction
from lhrcnn.inference.predictor import Detector
from lhrcnn.inference.sources import TarMember, find_sources

IMAGES = [f"p/größe {number}.jpg" for number in range(7)] + ["p/bad.jpg"]
ABOUT = {"run_dir": "r", "step": 3}


def found_in(image):
    """A low and a high box, or the error of a bad image."""
    if "bad" in str(image):
        return DataError(f"{image}: no image")
    number = int(str(image)[-5])
    boxes = np.array([[1 / 3, 2, 5.7 + number, 8], [0, 0, 1, 1]], np.float32)
    scores, classes = np.array([0.9, 0.2], np.float32), np.array([1, 0], np.int32)
    return Prediction(boxes, scores, classes, ["Ω", "a"], [7, 3], (10, 20))


def detect(job):
    """What a worker does with each missing shard; returns how many there were."""
    missing = job.missing
    for shard in missing:
        bulk.write(shard, [(i, found_in(i)) for i in bulk.images_of(shard)], job.threshold)
    return len(missing)


def test_results_are_those_of_a_prediction_image_by_image(tmp_path):
    output = Output(tmp_path)
    job = bulk.start(output, IMAGES, ABOUT, 0.5, size=3)
    assert detect(job) == 3 and len(job.shards) == 3
    assert bulk.collect(job, output, ["a", "Ω"], [3, 7]) == (7, 7, ["p/bad.jpg: no image"])
    content = json.loads((tmp_path / "detections.json").read_text(encoding="utf-8"))
    assert [image["file_name"] for image in content["images"]] == IMAGES[:-1]
    assert content["categories"] == [{"id": 3, "name": "a"}, {"id": 7, "name": "Ω"}]
    wanted = [
        {"id": image_id, **box}
        for image_id, image in enumerate(IMAGES[:-1], start=1)
        for box in found_in(image).above(0.5).to_coco(image_id)
    ]
    assert content["annotations"] == wanted
    failed = [json.loads(line) for line in (tmp_path / "failed.jsonl").read_text().splitlines()]
    assert failed == [{"file_name": "p/bad.jpg", "error": "p/bad.jpg: no image"}]


def test_a_restart_does_what_is_missing_and_nothing_of_another_job(tmp_path):
    job = bulk.start(Output(tmp_path), IMAGES, ABOUT, 0.5, size=3)
    detect(job)
    (tmp_path / "shards" / "00001-of-00003.jsonl").unlink()
    again = bulk.start(Output(tmp_path), IMAGES, ABOUT, 0.5, size=3)
    assert [shard.start for shard in again.missing] == [job.shards[1].start]
    assert detect(again) == 1 and list(again.results()) == list(job.results())
    others = [(IMAGES[1:], ABOUT, 0.5), (IMAGES, {**ABOUT, "step": 4}, 0.5), (IMAGES, ABOUT, 0.4)]
    for images, about, threshold in others:
        with pytest.raises(OutputError, match="holds results for other images, of another model"):
            bulk.start(Output(tmp_path), images, about, threshold, size=3)
    anew = bulk.start(Output(tmp_path, overwrite=True), IMAGES[1:], ABOUT, 0.5, size=3)
    assert len(anew.missing) == len(anew.shards) == 3


def test_another_training_or_export_of_the_same_name_is_another_job(tmp_path):
    def trained(value):
        return SimpleNamespace(
            meta={"step": 3},
            digest=lambda: Detector.digest(
                SimpleNamespace(
                    model=SimpleNamespace(named_variables=lambda: {"a": tf.constant(value)})
                )
            ),
        )

    def exported(content):
        (tmp_path / "model.onnx").write_text(content)
        digest = ExportedDetector.digest(SimpleNamespace(folder=tmp_path, format="onnx"))
        return SimpleNamespace(meta={"step": 3}, digest=lambda: digest)

    flags = bulk.DetectorFlags("runs/a")
    for make, first, second in ((trained, 1.0, 2.0), (exported, "1", "2")):
        assert bulk.about(flags, make(first)) == bulk.about(flags, make(first))
        assert bulk.about(flags, make(first)) != bulk.about(flags, make(second))


def test_a_cut_shard_is_named(tmp_path):
    job = bulk.start(Output(tmp_path), IMAGES, ABOUT, size=3)
    detect(job)
    path = tmp_path / "shards" / "00000-of-00003.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(True)[:2]), "utf-8")
    with pytest.raises(DataError, match="00000-of-00003.jsonl: not the results of 3 images"):
        list(job.results())


def test_no_image_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="no image to detect in"):
        bulk.start(Output(tmp_path), [], ABOUT)


def test_detections_of_a_data_set_are_exact(tmp_path):
    records = [
        record(image_id=number, path=image, size=(10, 20))
        for number, image in enumerate(IMAGES, start=10)
    ]
    job = bulk.start(Output(tmp_path), IMAGES, ABOUT, size=3)
    detect(job)
    with pytest.raises(DataError, match=r"p/bad.jpg: no image \(image id 17\)"):
        from_results(Dataset("d", records, ["a", "Ω"], [3, 7]), job.results())
    found = from_results(Dataset("d", records[:-1], ["a", "Ω"], [3, 7]), job.results())
    records[1] = dataclasses.replace(records[1], height=11)
    with pytest.raises(DataError, match=r"größe 1.jpg: the image is 10 x 20 px .* says 11 x 20"):
        from_results(Dataset("d", records[:-1], ["a", "Ω"], [3, 7]), job.results())
    boxes = np.concatenate([found_in(image).boxes for image in IMAGES[:-1]])
    np.testing.assert_array_equal(found.boxes, boxes)
    assert found.image_ids.tolist() == [10 + k // 2 for k in range(14)]
    assert found.scores.dtype == np.float32 and found.classes.tolist() == [1, 0] * 7


def test_images_of_lists_and_archives(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.png", "._c.jpg", "d.txt"):
        (tmp_path / name).write_bytes(name.encode())
    with tarfile.open("all.tar", "w") as archive, tarfile.open("all.tgz", "w:gz") as packed:
        for name in ("a.jpg", "b.png", "._c.jpg", "d.txt"):
            archive.add(name, f"deep/{name}")
            packed.add(name)
    (tmp_path / "list.txt").write_text("a.jpg\n\nall.tar\nb.png\n")
    images = find_sources(["list.txt"]).images
    assert [str(i) for i in images] == [
        "a.jpg",
        "all.tar/deep/a.jpg",
        "all.tar/deep/b.png",
        "b.png",
    ]
    assert images[1].read_bytes() == b"a.jpg"
    job = bulk.start(Output(tmp_path / "out"), images, ABOUT)
    assert bulk.images_of(job.shards[0]) == ["a.jpg", *images[1:3], "b.png"]
    assert isinstance(bulk.images_of(job.shards[0])[1], TarMember)
    with pytest.raises(UsageError, match="all.tgz: not readable as an archive.*not compressed"):
        find_sources(["all.tgz"])
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(UsageError, match="empty.txt: an empty list"):
        find_sources(["empty.txt"])


def test_names_that_are_not_in_utf_8_are_found_again(tmp_path):
    images = [os.fsdecode(b"a\xff.jpg"), TarMember("x.tar", "\udcfe.jpg", 512, 9), "b.jpg"]
    job = bulk.start(Output(tmp_path), images, ABOUT, size=2)
    assert [image for shard in job.shards for image in bulk.images_of(shard)] == images

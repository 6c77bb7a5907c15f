"""A detector over a data set: filling images, canvases, scales, replicas, and images that cannot be
read."""

import dataclasses
import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scenes import record

from lhrcnn import config
from lhrcnn.data.decoding import read_image
from lhrcnn.data.schema import Dataset
from lhrcnn.errors import DataError
from lhrcnn.evaluation import detect as evaluate
from lhrcnn.inference.prediction import Prediction
from lhrcnn.models import build

SIZES = [(40, 60), (60, 40), (50, 50), (33, 90), (90, 30), (40, 61), (20, 200)]
# The object of every image, as shares of its sides.
SHARES = np.array([0.1, 0.2, 0.6, 0.7], np.float32)


class FakeDetector:
    """Finds the object of each image exactly, reading its class from the colour; then a box that
    sticks out; then padding."""

    def __init__(self):
        self.traces = 0

    def detect(self, image, image_size):
        self.traces += 1
        batch = tf.shape(image)[0]
        size = tf.tile(image_size, [1, 2])
        boxes = tf.stack(
            [size * SHARES, size * [-0.5, 0.5, 0.5, 1.5], tf.zeros([batch, 4])], axis=1
        )
        classes = tf.cast(tf.round(tf.cast(image[:, 0, 0, 0], tf.float32) / 40), tf.int32)
        filler = tf.fill([batch], -1)
        return {
            "boxes": boxes,
            "scores": tf.tile([[0.9, 0.2, 0.0]], [batch, 1]),
            "classes": tf.stack([classes, classes, filler], axis=1),
            "num_detections": tf.fill([batch], 2),
        }


@pytest.fixture
def dataset(tmp_path):
    records = []
    for i, (height, width) in enumerate(SIZES):
        path = tmp_path / f"image_{i}.png"
        Image.fromarray(np.full([height, width, 3], 40 * (i % 3), np.uint8)).save(path)
        box = SHARES * np.array([height, width] * 2, np.float32)
        records.append(record(box, i % 3, False, 100 + 10 * i, path, (height, width)))
    return Dataset("colours", records, ["black", "dark", "grey"], [2, 4, 6])


def settings(*overrides):
    return config.load(
        overrides=[
            "data.short_side=[64]",
            "data.long_side=128",
            "data.pad_multiple=16",
            "eval.batch_size=3",
            *overrides,
        ]
    )


def rows(found):
    """Detections as sorted tuples, to compare sets of them."""
    columns = found.image_ids, found.classes, found.scores.round(5), found.boxes.round(3)
    return sorted(zip(*(column.tolist() for column in columns)))


@pytest.mark.parametrize("overrides", [[], ["data.resize=stretch", "data.stretch_size=[48, 48]"]])
def test_boxes_come_back_to_the_images_on_disk(dataset, overrides):
    detector = FakeDetector()
    found = evaluate.detect_dataset(detector, dataset, settings(*overrides), progress=False)
    assert detector.traces == 1
    assert len(found) == 2 * len(SIZES)
    for one in dataset.records:
        mine = found.image_ids == one.image_id
        np.testing.assert_allclose(found.boxes[mine & (found.scores > 0.5)], one.boxes, rtol=1e-5)
        clipped = [0, 0.5 * one.width, 0.5 * one.height, one.width]
        np.testing.assert_allclose(found.boxes[mine & (found.scores < 0.5)][0], clipped, rtol=1e-5)
        assert set(found.classes[mine]) == set(one.classes)


def test_exact_detections_score_one(dataset):
    metrics, found = evaluate.evaluate(
        FakeDetector(), dataset, settings("eval.metrics=[coco, voc07, voc]")
    )
    assert [metrics["coco"]["AP"], metrics["voc07"]["mAP"], metrics["voc"]["mAP"]] == pytest.approx(
        [1, 1, 1]
    )
    assert list(metrics["coco"]["per_class"]) == dataset.class_names
    assert found.to_coco(dataset)[0].keys() == {"image_id", "category_id", "bbox", "score"}
    assert {each["category_id"] for each in found.to_coco(dataset)} == {2, 4, 6}


@pytest.mark.parametrize("first", [-(2**63), -3, 0, 2**53, 2**63 - 10])
def test_image_ids_may_be_any_int64(dataset, first):
    records = [dataclasses.replace(r, image_id=first + i) for i, r in enumerate(dataset.records)]
    numbered = dataclasses.replace(dataset, records=records)
    options = settings("eval.metrics=[coco, voc07, ilsvrc]")
    metrics, found = evaluate.evaluate(FakeDetector(), numbered, options)
    assert [metrics["coco"]["AP"], metrics["voc07"]["mAP"]] == pytest.approx([1, 1])
    assert metrics["ilsvrc"]["mAP"] == pytest.approx(1)
    ids = {detection["image_id"] for detection in found.to_coco(numbered)}
    assert ids == {one.image_id for one in records}


def test_default_metrics_are_those_of_the_config(dataset):
    metrics, _ = evaluate.evaluate(
        FakeDetector(), dataset, settings("eval.metrics=[voc]", "eval.backend=reference")
    )
    assert list(metrics) == ["voc"]


@pytest.mark.parametrize("batch_size", [1, 4, 5])
def test_replicas_and_batch_sizes_find_the_same(dataset, two_cpus, batch_size):
    one, two = FakeDetector(), FakeDetector()
    expected = evaluate.detect_dataset(one, dataset, settings(), progress=False)
    found = evaluate.detect_dataset(
        two, dataset, settings(f"eval.batch_size={batch_size}"), two_cpus, progress=False
    )
    assert rows(found) == rows(expected)
    assert two.traces == 2  # one per replica


def test_a_real_detector_gives_the_same_table_on_two_replicas(dataset, two_cpus):
    overrides = [
        "model.backbone.name=vgg16",
        "model.backbone.width=0.125",
        "model.rpn.channels=16",
        "model.rpn.pre_nms_test=50",
        "model.rpn.post_nms_test=10",
        "model.head.mid_channels=4",
        "model.head.fc_channels=16",
        "model.rpn.anchor_scales=[16, 32]",
        "eval.metrics=[coco, voc07]",
    ]
    with two_cpus.scope():
        detector = build.build_detector(settings(*overrides), 3)
    (metrics, found), (expected_metrics, expected) = (
        evaluate.evaluate(detector, dataset, settings(*overrides), strategy)
        for strategy in (two_cpus, None)
    )
    assert len(found) == len(expected) > 0
    table, expected_table = (
        np.column_stack([1e4 * each.image_ids, 1e4 * each.classes, 1e2 * each.scores, each.boxes])
        for each in (found, expected)
    )
    distance = np.abs(table[:, None] - expected_table[None]).max(
        axis=2
    )  # equal scores come in any order
    assert max(distance.min(axis=0).max(), distance.min(axis=1).max()) < 1e-2
    assert metrics["coco"]["AP"] == pytest.approx(expected_metrics["coco"]["AP"], abs=1e-6)


def test_second_evaluation_needs_no_trace_and_keeps_no_detector(dataset):
    detector = FakeDetector()
    for _ in range(2):
        evaluate.detect_dataset(detector, dataset, settings(), progress=False)
    assert detector.traces == 1
    reference = weakref.ref(detector)
    del detector
    gc.collect()
    assert reference() is None


def test_images_without_detections_do_not_occur(dataset):
    class Blind(FakeDetector):
        def detect(self, image, image_size):
            found = super().detect(image, image_size)
            return {**found, "classes": tf.fill(tf.shape(found["classes"]), -1)}

    metrics, found = evaluate.evaluate(Blind(), dataset, settings("eval.metrics=[coco, voc07]"))
    assert len(found) == 0 and metrics["coco"]["AP"] == 0 and metrics["voc07"]["mAP"] == 0


def truncate(path):
    path.write_bytes(path.read_bytes()[:60])


def shrink(path):
    Image.new("RGB", (7, 8)).save(path)


@pytest.mark.parametrize(
    "spoil, reason",
    [
        (truncate, "not decodable"),
        (shrink, "8 x 7"),
        (lambda path: path.unlink(), "no such image file"),
        (lambda path: path.write_text("hello"), "AVIF and HEIC files are read"),
    ],
)
def test_unreadable_images_are_named(dataset, tmp_path, spoil, reason):
    for number in (2, 5):
        spoil(tmp_path / f"image_{number}.png")
    with pytest.raises(DataError, match="on_error=skip") as error:
        evaluate.detect_dataset(FakeDetector(), dataset, settings(), progress=False)
    assert_names_both(error, reason)
    images = SimpleNamespace(predict_each=lambda paths: ((path, found_in(path)) for path in paths))
    with pytest.raises(DataError, match="on_error=skip") as error:
        evaluate.detect_images(images, dataset)
    assert_names_both(error, reason)


def assert_names_both(error, reason):
    for number in (2, 5):
        assert f"image_{number}.png: " in str(error.value)
        assert f"image id {100 + 10 * number}" in str(error.value)
    assert str(error.value).count(reason) == 2


def found_in(path):
    """As of a predictor."""
    try:
        return Prediction([], [], [], [], [], read_image(path).shape[:2])
    except DataError as error:
        return error


def test_errors_of_the_detector_are_not_blamed_on_images(dataset):
    class Broken(FakeDetector):
        def detect(self, image, image_size):
            with tf.control_dependencies(
                [tf.debugging.Assert(tf.constant(False), ["weights are broken"])]
            ):
                return super().detect(tf.identity(image), image_size)

    with pytest.raises(tf.errors.InvalidArgumentError, match="weights are broken"):
        evaluate.detect_dataset(Broken(), dataset, settings(), progress=False)


def test_progress_ends_with_all_images(dataset, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    evaluate.detect_dataset(FakeDetector(), dataset, settings())
    shown = capsys.readouterr().err
    assert f"{len(SIZES)} of {len(SIZES)} images" in shown
    assert "images/s" in shown and shown.endswith("\n")

"""Prediction from a run directory: kinds and sizes of images, agreement with evaluation, and wrong
input."""

import json
import logging
import shutil

import numpy as np
import pytest
from inference.conftest import NAMES, draw_image
from PIL import Image
from scenes import record

import lhrcnn
from lhrcnn.data.schema import Dataset
from lhrcnn.errors import CheckpointError, DataError
from lhrcnn.evaluation.detect import detect_dataset
from lhrcnn.inference.predictor import Detector, load_run
from lhrcnn.keras import keras


@pytest.fixture(scope="module")
def detector(run_dir):
    return lhrcnn.Detector.from_run(run_dir)


def assert_same(first, second, tolerance=1e-4):
    assert first.names == second.names and first.size == second.size
    np.testing.assert_allclose(first.scores, second.scores, atol=tolerance)
    np.testing.assert_allclose(first.boxes, second.boxes, atol=tolerance * max(first.size))


def test_autograph_has_nothing_to_warn_of(run_dir):
    handler, said = logging.Handler(), []
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("tensorflow").addHandler(handler)
    try:
        Detector.from_run(run_dir).predict(draw_image(50, 80))
    finally:
        logging.getLogger("tensorflow").removeHandler(handler)
    assert not [text for text in said if "AutoGraph" in text]


def test_from_run_knows_classes_config_and_checkpoint(detector, run_dir):
    assert detector.class_names == NAMES and detector.meta["step"] == 7
    assert detector.config.data.short_side == [64]
    last = Detector.from_run(str(run_dir), str(run_dir / "checkpoints" / "step_00000007.npz"))
    assert_same(last.predict(draw_image(50, 80)), detector.predict(draw_image(50, 80)))


@pytest.mark.parametrize(
    "size", [(50, 80), (80, 50), (64, 64), (1, 1), (1, 900), (900, 1), (2, 3), (2000, 150)]
)
def test_boxes_lie_in_images_of_any_size(detector, size):
    found = detector.predict(draw_image(*size))
    assert found.size == size and 0 < len(found) <= 8
    assert found.boxes.shape == (len(found), 4) and np.isfinite(found.boxes).all()
    assert found.boxes.dtype == np.float32 and found.classes.dtype == np.int32
    assert (found.boxes >= 0).all() and (found.boxes <= np.array(size * 2)).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert (np.diff(found.scores) <= 0).all() and (found.scores > 0).all()
    assert found.names == [NAMES[k] for k in found.classes]


def test_one_trace_serves_all_sizes(detector):
    for size in [(50, 80), (80, 50), (64, 64), (300, 31)]:
        detector.predict(draw_image(*size))
    for function in (detector._detect, detector._prepare):
        assert function.experimental_get_tracing_count() == 1


def test_path_pil_array_and_grey_agree(detector, tmp_path):
    array = draw_image(45, 70)
    grey = np.asarray(Image.fromarray(array).convert("L"))
    Image.fromarray(array).save(tmp_path / "colour.png")
    Image.fromarray(grey).save(tmp_path / "grey.png")
    expected = detector.predict(array)
    for same in (
        tmp_path / "colour.png",
        str(tmp_path / "colour.png"),
        Image.fromarray(array),
        Image.fromarray(array).convert("RGBA"),
        array[:, ::-1][:, ::-1],
    ):
        assert_same(detector.predict(same), expected)
    expected = detector.predict(np.stack([grey] * 3, axis=2))
    for same in (
        tmp_path / "grey.png",
        grey,
        grey[..., None],
        Image.fromarray(grey),
        Image.fromarray(grey.astype(np.uint16) * 256),
    ):
        assert_same(detector.predict(same), expected)


def test_exif_rotation_is_followed(detector, tmp_path):
    stored = Image.fromarray(draw_image(40, 90))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(tmp_path / "turned.jpg", exif=exif, quality=95, subsampling=0)
    for turned in (tmp_path / "turned.jpg", Image.open(tmp_path / "turned.jpg")):
        assert detector.predict(turned).size == (90, 40)


def test_batch_agrees_with_single_images(detector):
    sizes = [(50, 80), (80, 50), (50, 80), (64, 64), (52, 80)]
    images = [draw_image(*size, seed) for seed, size in enumerate(sizes)]
    together = detector.predict_batch(images, batch_size=4)
    for image, found in zip(images, together):
        assert_same(found, detector.predict(image))
    assert detector.predict_batch([]) == []


def test_evaluation_finds_what_prediction_finds(detector, tmp_path):
    """Of images that fill the canvas of their group, so that both pad alike."""
    records = []
    for number, size in enumerate([(50, 80), (80, 50), (64, 64), (64, 120)]):
        path = tmp_path / f"{number}.png"
        Image.fromarray(draw_image(*size, seed=number)).save(path)
        records.append(record(image_id=number, path=path, size=size))
    dataset = Dataset("images", records, NAMES, [3, 5, 17])
    found = detect_dataset(detector.model, dataset, detector.config, progress=False)
    for one in records:
        expected = detector.predict(one.path)
        mine = np.flatnonzero(found.image_ids == one.image_id)
        assert len(mine) == len(expected)
        np.testing.assert_allclose(found.scores[mine], expected.scores, atol=1e-5)
        np.testing.assert_allclose(found.boxes[mine], expected.boxes, atol=1e-3)
        np.testing.assert_array_equal(found.classes[mine], expected.classes)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_sixteen_bits_give_the_scores_of_float32_nearly(detector, run_dir, precision):
    """Boxes of the tiny model, which is not trained, tie: only scores are compared."""
    other = Detector(load_run(run_dir, overrides=[f"test.precision={precision}"]))
    assert other.model.backbone.output["c4"].dtype == precision[6:]
    assert keras.mixed_precision.global_policy().name == "float32"
    found, expected = (each.predict(draw_image(50, 80)) for each in (other, detector))
    assert len(found) == len(expected) and found.scores.dtype == found.boxes.dtype == np.float32
    assert 0 < np.abs(found.scores - expected.scores).max() < 0.02


def test_predictions_filter_and_turn_into_json(detector):
    found = detector.predict(draw_image(50, 80))
    threshold = float(found.scores[2])
    best = found.above(threshold)
    assert len(best) == np.sum(found.scores >= threshold) < len(found)
    assert len(found.above(1.1)) == 0
    parsed = json.loads(best.to_json())
    assert (parsed["height"], parsed["width"]) == (50, 80)
    assert parsed["detections"][0]["name"] == found.names[0]
    assert parsed["detections"][0]["box"] == pytest.approx(found.boxes[0].tolist())
    first = best.to_coco(9)[0]
    ymin, xmin, ymax, xmax = found.boxes[0].tolist()
    assert (first["image_id"], first["category"]) == (9, found.names[0])
    assert first["category_id"] in (3, 5, 17)
    assert first["bbox"] == pytest.approx([xmin, ymin, xmax - xmin, ymax - ymin])


@pytest.mark.parametrize(
    "array, found",
    [
        (np.zeros([4, 5, 3], np.float32), r"float32 \[4, 5, 3\]"),
        (np.zeros([4, 5, 4], np.uint8), r"uint8 \[4, 5, 4\]"),
        (np.zeros([2, 4, 5, 3], np.uint8), r"uint8 \[2, 4, 5, 3\]"),
        (np.zeros([0, 5, 3], np.uint8), r"uint8 \[0, 5, 3\]"),
        ([1, 2], r"int64 \[2\]"),
    ],
)
def test_wrong_arrays_are_described(detector, array, found):
    with pytest.raises(ValueError, match=f"found an array of {found}; allowed: uint8"):
        detector.predict(array)


def test_wrong_files_are_named(detector, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(draw_image(50, 50)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:300])
    for name in ("text.jpg", "empty.png", "cut.jpg"):
        with pytest.raises(ValueError, match=rf"{name}: (not decodable|not readable as an image)"):
            detector.predict(tmp_path / name)
    with pytest.raises(DataError, match="nowhere.jpg: no such image file"):
        detector.predict(tmp_path / "nowhere.jpg")
    with pytest.raises(ValueError, match="cannot be read"):
        detector.predict(tmp_path)


def test_folders_that_are_no_runs_are_told_apart(run_dir, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: not a run directory: no such folder"):
        Detector.from_run(tmp_path / "nowhere")
    shutil.copy(run_dir / "config.yaml", tmp_path)
    with pytest.raises(
        FileNotFoundError, match="not a run directory: no classes.json in it; give the --run_dir"
    ):
        Detector.from_run(tmp_path)
    (tmp_path / "classes.json").write_text('{"names": ["a"], "category_ids": []}')
    with pytest.raises(ValueError, match="classes.json: 1 names and 0 category ids"):
        Detector.from_run(tmp_path)
    (tmp_path / "classes.json").write_text("[1")
    with pytest.raises(ValueError, match="classes.json: not readable as"):
        Detector.from_run(tmp_path)
    shutil.copy(run_dir / "classes.json", tmp_path)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        Detector.from_run(tmp_path)


def test_other_classes_than_trained_are_refused(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run" / "classes.json").write_text('{"names": ["a", "b"], "category_ids": [1, 2]}')
    with pytest.raises(CheckpointError, match="does not fit"):
        Detector.from_run(tmp_path / "run")


def test_pretrained_weights_of_training_are_not_needed(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / "run")
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert "    weights: ''\n" in text
    (tmp_path / "run" / "config.yaml").write_text(
        text.replace("    weights: ''\n", "    weights: gone.npz\n")
    )
    assert Detector.from_run(tmp_path / "run").config.model.backbone.weights == ""

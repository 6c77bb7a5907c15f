"""The SavedModel: same detections as the predictor, in a process that has TensorFlow alone; and
refusals."""

import io
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from inference.conftest import NAMES, draw_image, make_run
from PIL import Image

from lhrcnn.errors import DependencyError, ExportError
from lhrcnn.inference.export import EXPORTS, Format, Options
from lhrcnn.inference.export.write import export
from lhrcnn.inference.predictor import Detector
from lhrcnn.ops import psroi_align

SIZES = [(50, 80), (80, 50), (64, 64), (1, 1), (300, 31)]

STOCK = """
import json, sys


class Hide:  # lhrcnn may be installed where TensorFlow is
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "lhrcnn":
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Hide())
import numpy as np
import tensorflow as tf

folder, images = sys.argv[1:]
loaded = tf.saved_model.load(folder)
images = np.load(images)
names = sorted(images.files)
def plain(found):
    return {key: value.numpy().tolist() for key, value in found.items()}
encoded = tf.constant([tf.io.encode_png(images[name]).numpy() for name in names])
result = {"bytes": plain(loaded.signatures["serving_default"](image_bytes=encoded)),
          "tensors": [
              plain(loaded.signatures["image_tensor"](image_tensor=tf.constant(images[name][None])))
              for name in names
          ],
          "class_names": [name.decode() for name in loaded.class_names().numpy()]}
assert not [name for name in sys.modules if name.startswith("lhrcnn")]
print("RESULT" + json.dumps(result))
"""


@pytest.fixture(scope="module")
def detector(run_dir):
    return Detector.from_run(run_dir)


@pytest.fixture(scope="module")
def loaded(saved):
    return tf.saved_model.load(str(saved))


def assert_same(found, row, expected):
    found = {name: np.asarray(value)[row] for name, value in found.items()}
    number = int(found["num_detections"])
    assert number == len(expected)
    tolerance = 1e-4 * max(1, *expected.size)
    np.testing.assert_allclose(found["boxes"][:number], expected.boxes, atol=tolerance)
    np.testing.assert_allclose(found["scores"][:number], expected.scores, atol=1e-4)
    np.testing.assert_array_equal(found["classes"][:number], expected.classes)
    assert (found["classes"][number:] == -1).all()


def test_stock_tensorflow_gives_the_predictors_detections(saved, detector, tmp_path):
    images = [draw_image(*size, seed=number) for number, size in enumerate(SIZES)]
    np.savez(tmp_path / "images.npz", **{f"p{k}": image for k, image in enumerate(images)})
    hidden = ("PYTHONPATH", "TF_USE_LEGACY_KERAS")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(
        [sys.executable, "-I", "-c", STOCK, str(saved), str(tmp_path / "images.npz")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.split("RESULT")[1])
    assert result["class_names"] == NAMES
    for number, image in enumerate(images):
        expected = detector.predict(image)
        assert_same(result["bytes"], number, expected)
        assert_same(result["tensors"][number], 0, expected)


def test_what_is_no_image_leaves_the_others_of_its_batch_alone(loaded, detector):
    image = draw_image(50, 80)
    good, jpeg = (encode(image).numpy() for encode in (tf.io.encode_png, tf.io.encode_jpeg))
    others = [b"", b"RIFF\x10\0\0\0WEBPVP8 ", good[: len(good) // 2], jpeg[:50], b"BM", b"text"]
    Image.fromarray(image).convert("P").save(file := io.BytesIO(), "BMP")
    for pixels_at in (55, 60, 2**31 - 1):  # within the palette; far outside
        start = pixels_at.to_bytes(4, "little")
        others.append(file.getvalue()[:10] + start + file.getvalue()[14:])
    found = loaded.signatures["serving_default"](image_bytes=tf.constant([good, *others, good]))
    assert (found["num_detections"].numpy()[1:-1] == -1).all()
    assert (found["classes"].numpy()[1:-1] == -1).all() and not found["scores"][1:-1].numpy().any()
    for row in (0, -1):
        assert_same(found, row, detector.predict(image))


def test_signatures_and_assets(saved, loaded):
    assert set(loaded.signatures) == {"serving_default", "image_tensor", "fixed_size"}
    for signature in loaded.signatures.values():
        assert set(signature.structured_outputs) == {"boxes", "scores", "classes", "num_detections"}
    assert (saved / "assets" / "classes.txt").read_text(encoding="utf-8").split("\n") == NAMES
    facts = json.loads((saved / "assets.extra" / "export.json").read_text(encoding="utf-8"))
    expected = {"class_names": NAMES, "roi_impl": "tf", "step": 7, "max_detections": 8}
    assert expected.items() <= facts.items()
    assert sorted(path.name for path in saved.parent.iterdir()) == ["saved"]


def test_ops_are_stock_ones(saved):
    assert b"Lhrcnn" not in (saved / "saved_model.pb").read_bytes()


@pytest.mark.parametrize("localisation", ["box", "combined"])
def test_rounds_voting_and_locnet_are_inside(tmp_path, localisation):
    overrides = [f"model.head.localisation={localisation}", "model.locnet.channels=4"]
    overrides += ["model.locnet.pool_size=4", "model.postprocess.rounds=2"]
    overrides += ["model.postprocess.candidates=10", "model.postprocess.vote_iou=0.5"]
    folder = make_run(tmp_path / "run", overrides)
    loaded = tf.saved_model.load(str(export(folder, tmp_path / "saved")))
    image = draw_image(50, 80)
    found = loaded.signatures["image_tensor"](image_tensor=tf.constant(image[None]))
    expected = Detector.from_run(folder).predict(image)
    assert len(expected) > 0
    assert_same(found, 0, expected)
    assert b"Lhrcnn" not in (tmp_path / "saved" / "saved_model.pb").read_bytes()


def test_the_loaded_model_is_called_with_images(loaded, detector):
    images = np.stack([draw_image(40, 70, seed) for seed in range(2)])
    found = loaded(tf.constant(images))
    for row, image in enumerate(images):
        assert_same(found, row, detector.predict(image))


LOOPS = {"While", "StatelessWhile", "CombinedNonMaxSuppression", "TensorListReserve", "DecodeImage"}


def test_the_form_of_fixed_size_has_no_loops_and_says_its_size(run_dir, detector, saved, loaded):
    function = loaded.signatures["fixed_size"]
    size = json.loads((saved / "assets.extra" / "export.json").read_text())["image_size"]
    assert size == [64, 85]
    image = draw_image(*size)
    assert_same(function(image=tf.constant(image[None])), 0, detector.predict(image))
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
    inside = {node.op for node in nodes}
    assert "NonMaxSuppressionV3" in inside and not LOOPS & inside


def test_batch_of_equal_images_and_no_images(loaded, detector):
    images = np.stack([draw_image(40, 70, seed) for seed in range(3)])
    found = loaded.signatures["image_tensor"](image_tensor=tf.constant(images))
    for row, image in enumerate(images):
        assert_same(found, row, detector.predict(image))
    for empty in (
        loaded.signatures["image_tensor"](image_tensor=tf.zeros([0, 40, 70, 3], tf.uint8)),
        loaded.signatures["serving_default"](image_bytes=tf.constant([], tf.string)),
    ):
        assert empty["boxes"].shape == [0, 8, 4] and empty["num_detections"].shape == [0]


def test_jpeg_with_rotation_grey_png_and_bmp_with_a_palette(loaded, detector, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(draw_image(40, 90)).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(draw_image(40, 60)[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(draw_image(50, 60)).convert("P").save(tmp_path / "palette.bmp")
    paths = [tmp_path / "turned.jpg", tmp_path / "grey.png", tmp_path / "palette.bmp"]
    contents = tf.constant([path.read_bytes() for path in paths])
    found = loaded.signatures["serving_default"](image_bytes=contents)
    for row, path in enumerate(paths):
        assert_same(found, row, detector.predict(path))


def test_existing_folders_are_kept(run_dir, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    for overwrite in (False, True):
        words = "notes: the folder is not empty and holds no savedmodel .*diary.txt"
        with pytest.raises(FileExistsError, match=words):
            export(run_dir, tmp_path / "notes", overwrite=overwrite)
    with pytest.raises(FileExistsError, match="diary.txt: a file of this name exists"):
        export(run_dir, tmp_path / "notes" / "diary.txt")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "saved_model.pb").write_text("old")
    with pytest.raises(FileExistsError, match="holds a savedmodel already; .*--overwrite"):
        export(run_dir, tmp_path / "old")
    assert (tmp_path / "old" / "saved_model.pb").read_text() == "old"


def quick_write(run, folder, options):
    (folder / "saved_model.pb").write_text("new")


def test_overwrite_replaces_and_an_empty_folder_is_used(run_dir, tmp_path, monkeypatch):
    monkeypatch.setitem(EXPORTS, "savedmodel", EXPORTS["savedmodel"]._replace(function=quick_write))
    for name, content in (("old", "old"), ("empty", None)):
        (tmp_path / name).mkdir()
        if content:
            (tmp_path / name / "saved_model.pb").write_text(content)
        assert export(run_dir, tmp_path / name, overwrite=True) == tmp_path / name
        assert (tmp_path / name / "saved_model.pb").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["empty", "old"]


def test_full_disk_leaves_the_old_export_and_no_rubbish(run_dir, tmp_path, monkeypatch):
    def full(run, folder, options):
        quick_write(run, folder, options)
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setitem(EXPORTS, "savedmodel", EXPORTS["savedmodel"]._replace(function=full))
    words = r"old: the export cannot be written: No space left on device\..*MB free; make room"
    assert_keeps_the_old(run_dir, tmp_path, words)


def assert_keeps_the_old(run_dir, folder, words):
    """What an export that fails leaves behind."""
    (folder / "old").mkdir()
    (folder / "old" / "saved_model.pb").write_text("old")
    with pytest.raises(OSError, match=words):
        export(run_dir, folder / "old", overwrite=True)
    assert (folder / "old" / "saved_model.pb").read_text() == "old"
    assert os.listdir(folder) == ["old"]


def test_failing_rename_brings_the_old_export_back(run_dir, tmp_path, monkeypatch):
    rename, calls = os.rename, []

    def second_fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setitem(EXPORTS, "savedmodel", EXPORTS["savedmodel"]._replace(function=quick_write))
    monkeypatch.setattr(os, "rename", second_fails)
    assert_keeps_the_old(run_dir, tmp_path, "Permission denied")


def test_output_below_a_file_and_wrong_names(run_dir, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="saved: the export cannot be written"):
        export(run_dir, tmp_path / "file" / "saved")
    with pytest.raises(ValueError, match="roi_impl: found 'cuda', allowed: tf .*custom"):
        export(run_dir, tmp_path / "saved", options=Options(roi_impl="cuda"))
    with pytest.raises(FileNotFoundError, match="not a run directory"):
        export(tmp_path, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.skipif(
    not psroi_align.custom_op_available(), reason="the compiled op cannot be had here"
)
def test_custom_op_export_says_so_and_agrees(run_dir, detector, tmp_path, caplog):
    saved = export(run_dir, tmp_path / "saved", options=Options(roi_impl="custom"))
    assert b"LhrcnnPsRoiAlign" in pathlib.Path(saved, "saved_model.pb").read_bytes()
    assert "needs the compiled PSRoIAlign op" in caplog.text
    image = draw_image(50, 80)
    found = tf.saved_model.load(str(saved))(tf.constant(image[None]))
    assert_same(found, 0, detector.predict(image))


def test_a_format_of_ones_own_and_one_without_its_extra(run_dir, tmp_path, monkeypatch):
    def names_alone(run, folder, options):
        (folder / "names.txt").write_text(f"{run.class_names} {options.size}")

    own = Format("the names", names_alone, files=("names.txt",))
    monkeypatch.setitem(EXPORTS, "names", own)
    monkeypatch.setitem(EXPORTS, "rare", own._replace(extra="rare", needs=("json", "no_such_one")))
    output = export(run_dir, tmp_path / "names", "names", Options(size=(4, 5)))
    assert (output / "names.txt").read_text() == f"{NAMES} (4, 5)"
    with pytest.raises(DependencyError, match=r"needs no_such_one: pip install 'lhrcnn\[rare\]'"):
        export(run_dir, tmp_path / "rare", "rare")
    monkeypatch.setitem(EXPORTS, "rare", own._replace(needs=("no_such_one",)))
    with pytest.raises(DependencyError, match=r"needs no_such_one: pip install no_such_one"):
        export(run_dir, tmp_path / "rare", "rare")
    with pytest.raises(ExportError, match="found 'tflite', allowed: savedmodel.*names"):
        export(run_dir, tmp_path / "lite", "tflite")
    assert os.listdir(tmp_path) == ["names"]

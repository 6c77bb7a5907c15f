"""LiteRT: its file finds what the predictor finds; what cannot be converted is refused."""

import json

import numpy as np
import pytest
import tensorflow as tf
from inference.conftest import NAMES, make_run
from inference.export.test_onnx import BOXES, FAMILIES, IMAGES, SCORES, SIZE, assert_finds

from lhrcnn.errors import ExportError
from lhrcnn.inference.export import Options
from lhrcnn.inference.export.exported import ExportedDetector
from lhrcnn.inference.export.litert import converted
from lhrcnn.inference.export.write import export
from lhrcnn.inference.predictor import Detector
from lhrcnn.models import nms
from lhrcnn.ops.portable import portable

interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs lhrcnn[litert]")


@pytest.mark.parametrize("family", ["rfcn, antialias", "light head, soft NMS, voting"])
def test_litert_finds_what_the_predictor_finds(tmp_path, family):
    run_dir = make_run(tmp_path / "run", FAMILIES[family])
    folder = export(run_dir, tmp_path / "lite", "litert", Options(size=SIZE, batch_size=2))
    model = ExportedDetector(folder)
    assert_finds(model, Detector.from_run(run_dir).predict_batch(IMAGES))
    assert model.class_names == NAMES and model.runtime == "LiteRT, float32"
    assert json.loads((folder / "preprocess.json").read_text())["batch_size"] == 2


@pytest.mark.parametrize("soft_sigma", [0.0, 0.3])
@pytest.mark.parametrize("iou", [0.5, 1 / 3])
def test_equal_overlaps_and_scores_are_taken_as_tensorflow_takes_them(iou, soft_sigma):
    def survivors(boxes, scores):
        pool = nms.Candidates(boxes, scores, tf.zeros_like(scores, tf.int32))
        return nms.within_classes(pool, float(np.float32(iou)), 4, 0.1, soft_sigma)

    @tf.function(input_signature=[tf.TensorSpec([1, 6, 4]), tf.TensorSpec([1, 6])])
    def in_runtime(boxes, scores):
        with portable("litert"):
            return survivors(boxes, scores)._asdict()

    arrays = [np.asarray([values], np.float32) for values in (BOXES, SCORES)]
    model = interpreter.Interpreter(model_content=converted(in_runtime, {}))
    found = model.get_signature_runner()(boxes=arrays[0], scores=arrays[1])
    for name, expected in survivors(*map(tf.constant, arrays))._asdict().items():
        np.testing.assert_allclose(found[name], expected.numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    "name, option",
    [("RoIPool", "'model.head.kind' is fc"), ("localisation", "'model.head.localisation' is")],
)
def test_what_stands_in_the_way_is_one_line(tmp_path, name, option):
    run_dir = make_run(tmp_path / "run", next(FAMILIES[key] for key in FAMILIES if name in key))
    with pytest.raises(ExportError, match=f"--format litert: {option}") as error:
        export(run_dir, tmp_path / "lite", "litert")
    assert "\n" not in str(error.value)

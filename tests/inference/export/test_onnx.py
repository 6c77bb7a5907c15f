"""ONNX files: onnxruntime finds what the predictor finds; what has no form in ONNX is refused."""

import json

import numpy as np
import pytest
from inference.conftest import NAMES, draw_image, make_run
from inference.export.test_fixed import FPN, ROUNDS

from lhrcnn.errors import DependencyError, ExportError
from lhrcnn.inference.export import EXPORTS, Options
from lhrcnn.inference.export.write import export
from lhrcnn.inference.predictor import Detector

CASES = {
    "light head": [],
    "feature pyramid": FPN,
    "rfcn, antialias": ["model.head.kind=rfcn", "data.antialias=true"],
    "rounds, voting, context": [
        *ROUNDS,
        "model.postprocess.vote_iou=0.5",
        "model.head.global_context=true",
    ],
}


@pytest.mark.parametrize("overrides", CASES.values(), ids=CASES)
def test_onnxruntime_finds_what_the_predictor_finds(tmp_path, overrides):
    for module in ("onnx", "tf2onnx"):
        pytest.importorskip(module, reason="needs lhrcnn[onnx]")
    runtime = pytest.importorskip("onnxruntime", reason="needs lhrcnn[onnx]")
    run_dir = make_run(tmp_path / "run", overrides)
    folder = export(run_dir, tmp_path / "onnx", "onnx", Options(size=(100, 130)))
    session = runtime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    detector, images = Detector.from_run(run_dir), [draw_image(100, 130, seed) for seed in range(2)]
    for image in [*images, np.zeros([100, 130, 3], np.uint8)]:
        found = dict(zip(names, session.run(None, {"image": image[None]})))
        expected, number = detector.predict(image), int(found["num_detections"][0])
        assert number == len(expected)
        np.testing.assert_allclose(found["boxes"][0, :number], expected.boxes, atol=1e-2)
        np.testing.assert_allclose(found["scores"][0, :number], expected.scores, atol=1e-4)
        np.testing.assert_array_equal(found["classes"][0, :number], expected.classes)
        assert (found["classes"][0, number:] == -1).all()
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["class_names"]) == NAMES and metadata["image_size"] == "[100, 130]"
    assert json.loads((folder / "export.json").read_text())["step"] == 7


@pytest.mark.parametrize(
    "override, message",
    [
        ("model.head.kind=fc", "'model.head.kind' fc pools by RoIAlign.*light, rfcn"),
        ("model.head.localisation=combined", "'model.head.localisation' combined"),
        ("model.postprocess.soft_nms_sigma=0.5", "no soft NMS; --set model.postprocess"),
        ("test.flip=true", "looked at once; --set test.scales"),
        ("test.precision=mixed_bfloat16", "--set test.precision=float32"),
    ],
)
def test_what_has_no_form_in_onnx_is_refused_in_one_line(tmp_path, monkeypatch, override, message):
    pytest.importorskip("tf2onnx", reason="needs lhrcnn[onnx]")
    run_dir = make_run(tmp_path / "run", [override])
    with pytest.raises(ExportError, match=message) as error:
        export(run_dir, tmp_path / "onnx", "onnx")
    assert "\n" not in str(error.value) and not (tmp_path / "onnx").exists()


def test_a_missing_extra_is_named_before_the_run_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setitem(EXPORTS, "onnx", EXPORTS["onnx"]._replace(needs=("tf2onnx_missing",)))
    with pytest.raises(DependencyError, match=r"pip install 'lhrcnn\[onnx\]'"):
        export("no_run_at_all", tmp_path / "onnx", "onnx")

"""ONNX, OpenVINO and LiteRT: each finds what the predictor finds; what cannot be is refused."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from inference.conftest import NAMES, draw_image, make_run
from inference.export.test_fixed import FPN, ROUNDS

from lhrcnn.errors import DependencyError, ExportError
from lhrcnn.inference.export import EXPORTS, Options
from lhrcnn.inference.export.exported import ExportedDetector
from lhrcnn.inference.export.onnx import converted
from lhrcnn.inference.export.write import export
from lhrcnn.inference.predictor import Detector
from lhrcnn.models import nms
from lhrcnn.ops.portable import portable

SIZE = 100, 130
FAMILIES = {
    "light head, soft NMS, voting": [
        "model.backbone.name=xception",  # depthwise convolutions
        "model.postprocess.soft_nms_sigma=0.3",
        "model.postprocess.vote_iou=0.75",
    ],
    "light head, averages, feature pyramid": [
        *FPN,
        "model.head.pool=avg",
        "model.head.aligned=true",
    ],
    "rfcn, antialias": ["model.head.kind=rfcn", "data.antialias=true"],
    "RoIAlign": ["model.head.kind=fc", "model.head.aligned=false"],
    "RoIAlign, feature pyramid": [*FPN, "model.head.kind=fc", "model.head.aligned=true"],
    "RoIPool": ["model.head.kind=fc", "model.head.roi_op=pool"],
    "last stage": [
        "model.head.kind=stage5",
        "model.backbone.name=resnet50",
        "model.backbone.weights=",
        "model.backbone.last_level=c4",
        "model.rpn.levels=[c4]",
        "model.head.levels=[c4]",
        "model.head.pool_size=4",
    ],
    "rounds, voting, context": [
        *ROUNDS,
        "model.postprocess.vote_iou=0.5",
        "model.head.global_context=true",
    ],
    "localisation, rounds": [
        *ROUNDS,
        "model.head.localisation=combined",
        "model.locnet.channels=4",
    ],
}
RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}
IMAGES = [*(draw_image(*SIZE, seed) for seed in range(2)), np.zeros([*SIZE, 3], np.uint8)]


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=FAMILIES)
def family(request, tmp_path_factory):
    """(run directory, what its predictor finds in `IMAGES`)."""
    run_dir = make_run(tmp_path_factory.mktemp("family") / "run", request.param)
    return run_dir, Detector.from_run(run_dir).predict_batch(IMAGES)


@pytest.fixture(scope="module")
def exported(family):
    """The folder of the ONNX form of a family, which takes two images at once."""
    for module in ("onnx", "tf2onnx"):
        pytest.importorskip(module, reason="needs lhrcnn[onnx]")
    folder = family[0].parent / "onnx"
    return export(family[0], folder, "onnx", Options(size=SIZE, batch_size=2))


def assert_finds(model, expected):
    """Near-equal scores may come in either order."""
    found = [prediction for _, prediction in model.predict_each(IMAGES)]
    assert len(found) == len(expected) == len(IMAGES)
    for mine, theirs in zip(found, expected):
        assert len(mine) == len(theirs)
        np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-4)
        same = np.abs(mine.boxes[:, None] - theirs.boxes).max(-1) <= 1e-2
        same &= np.abs(mine.scores[:, None] - theirs.scores) <= 1e-4
        same &= mine.classes[:, None] == theirs.classes
        assert same.any(0).all() and same.any(1).all(), (mine.boxes, theirs.boxes)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_finds_what_the_predictor_finds(family, exported, tmp_path, runtime):
    pytest.importorskip(RUNTIMES[runtime], reason=f"needs lhrcnn[{runtime}]")
    folder = exported
    if runtime == "openvino":
        from lhrcnn.inference.export.openvino import from_onnx

        folder = shutil.copytree(exported, tmp_path / "openvino")
        from_onnx(folder)
    model = ExportedDetector(folder)
    assert_finds(model, family[1])
    assert model.class_names == NAMES and "float32" in model.runtime.replace("f32", "float32")


# Pairs of IoU exactly 1/2 and 1/3, boxes that are the same, equal scores, and one without a score.
BOXES = [[0, 0, 2, 2], [0, 0, 2, 4], [0, 2, 2, 6], [8, 8, 9, 9], [8, 8, 9, 9], [4, 4, 5, 5]]
SCORES = [0.5, 0.75, 0.5, 0.5, 0.5, 0.0]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("soft_sigma", [0.0, 0.3])
@pytest.mark.parametrize("iou", [0.5, 1 / 3])
def test_equal_overlaps_and_scores_are_taken_as_tensorflow_takes_them(
    tmp_path, runtime, soft_sigma, iou
):
    pytest.importorskip("tf2onnx", reason="needs lhrcnn[onnx]")
    pytest.importorskip(RUNTIMES[runtime], reason=f"needs lhrcnn[{runtime}]")

    def survivors(boxes, scores):
        pool = nms.Candidates(boxes, scores, tf.zeros_like(scores, tf.int32))
        return tuple(nms.within_classes(pool, float(np.float32(iou)), 4, 0.1, soft_sigma))

    @tf.function(input_signature=[tf.TensorSpec([1, 6, 4]), tf.TensorSpec([1, 6])])
    def in_runtime(boxes, scores):
        with portable("onnx"):
            return survivors(boxes, scores)

    model = converted(in_runtime)
    arrays = [np.asarray([values], np.float32) for values in (BOXES, SCORES)]
    if runtime == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found = session.run(None, dict(zip(("boxes", "scores"), arrays)))
    else:
        import openvino

        (tmp_path / "nms.onnx").write_bytes(model.SerializeToString())
        compiled = openvino.Core().compile_model(
            tmp_path / "nms.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        found = list(compiled(arrays).values())
    for mine, expected in zip(found, survivors(*map(tf.constant, arrays))):
        np.testing.assert_allclose(mine, expected.numpy(), rtol=1e-5)


def test_metadata_stand_in_the_file_and_beside_it(exported):
    import onnx

    model = onnx.load(exported / "model.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["class_names"]) == NAMES and metadata["image_size"] == "[100, 130]"
    assert json.loads((exported / "export.json").read_text())["step"] == 7


@pytest.mark.parametrize(
    "override, message",
    [
        ("test.flip=true", "looked at once; --set test.scales"),
        ("test.precision=mixed_bfloat16", "--set test.precision=float32"),
    ],
)
def test_what_has_no_form_in_onnx_is_refused_in_one_line(tmp_path, override, message):
    pytest.importorskip("tf2onnx", reason="needs lhrcnn[onnx]")
    run_dir = make_run(tmp_path / "run", [override])
    with pytest.raises(ExportError, match=message) as error:
        export(run_dir, tmp_path / "onnx", "onnx")
    assert "\n" not in str(error.value) and not (tmp_path / "onnx").exists()


def test_a_missing_extra_is_named_before_the_run_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setitem(EXPORTS, "onnx", EXPORTS["onnx"]._replace(needs=("tf2onnx_missing",)))
    with pytest.raises(DependencyError, match=r"pip install 'lhrcnn\[onnx\]'"):
        export("no_run_at_all", tmp_path / "onnx", "onnx")

#!/bin/sh
# One would guess: onnxruntime's quantize_static with its default options costs a detector a little accuracy,
#   whatever form its output has.
# It is not so (onnxruntime 1.32.0): where boxes in px and scores are joined by a Concat, as YOLO's exports have it
#   (x, y, width, height, scores), the two get one scale of 8 bits for both: steps of 2.5 px for 640, and
#   every score from 0 to 1 becomes 0. As two outputs the same numbers keep their scores to .02.
# It matters: the model finds nothing, in any image, without a message, and calibration or the data get the blame.
#   Split the outputs, give boxes in shares of the image, or leave the Concat and all behind it in float32
#   (nodes_to_exclude).
#   lhrcnn: quantises Conv and MatMul alone; boxes and scores are outputs of their own
#   (lhrcnn/inference/export/int8.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile onnx==1.19.1 onnxruntime==1.32.0
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import logging
import sys
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

logging.disable(logging.WARNING)
rng = np.random.default_rng(0)
CONSTANTS = {
    "to_boxes": rng.normal(0, 0.5, [8, 4]).astype(np.float32),
    "to_scores": rng.normal(0, 0.8, [8, 2]).astype(np.float32),
    "px": np.float32([640]),
}


def batch():
    return {"x": rng.normal(0, 1, [1, 100, 8]).astype(np.float32)}


class Batches(CalibrationDataReader):
    def __init__(self):
        self.batches = iter([batch() for _ in range(20)])

    def get_next(self):
        return next(self.batches, None)


def save(joined):
    nodes = [
        helper.make_node("MatMul", ["x", "to_boxes"], ["places"]),
        helper.make_node("Sigmoid", ["places"], ["shares"]),
        helper.make_node("Mul", ["shares", "px"], ["boxes"]),
        helper.make_node("MatMul", ["x", "to_scores"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["both"], axis=2),
    ]
    outputs = {"both": 6} if joined else {"boxes": 4, "scores": 2}
    graph = helper.make_graph(
        nodes if joined else nodes[:-1],
        "detections",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 100, 8])],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, [1, 100, n]) for k, n in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in CONSTANTS.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, "float.onnx")


def run(name, inputs):
    session = onnxruntime.InferenceSession(name, providers=["CPUExecutionProvider"])
    return np.split(np.concatenate(session.run(None, inputs), axis=2), [4], axis=2)


print("onnxruntime", onnxruntime.__version__, "- quantize_static; 100 boxes in an image of 640 px with two scores each")
inputs, found = batch(), {}
cases = {"two outputs": (False, []), "joined": (True, []), "joined, Concat excluded": (True, ["joined"])}
for case, (joined, excluded) in cases.items():
    save(joined)
    if excluded:
        model = onnx.load("float.onnx")
        model.graph.node[-1].name = excluded[0]
        onnx.save(model, "float.onnx")
    quantize_static("float.onnx", "int8.onnx", Batches(), nodes_to_exclude=excluded)
    (boxes, scores), (found_boxes, found_scores) = (run(f"{kind}.onnx", inputs) for kind in ("float", "int8"))
    found[case] = float(abs(found_scores - scores).max()), float(found_scores.max())
    print(f"  {case}: boxes off by at most {abs(found_boxes - boxes).max():.1f} px, scores by {found[case][0]:.3f};"
          f" highest score {scores.max():.3f} in float32, {found[case][1]:.3f} in 8 bits")
good = max(found["two outputs"][0], found["joined, Concat excluded"][0]) < 0.03
sys.exit(0 if good and found["joined"][1] == 0 else "changed")
EOP

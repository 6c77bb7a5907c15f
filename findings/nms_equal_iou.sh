#!/bin/sh
# One would guess: a box whose IoU with a better one equals iou_threshold has one fate in all runtimes of
#   an ONNX file, whose specification drops a box only above the threshold.
# It is not so: onnxruntime keeps it, OpenVINO drops it. Two boxes of 2 x 2 and 2 x 4 px, the first inside
#   the second, have an IoU of exactly 1/2 in float32.
# It matters: boxes on whole pixels and IoUs such as 1/2 are common in tests and in masks made of cells.
#   lhrcnn: ONNX files are written with the next larger float32 as threshold (lhrcnn/models/nms.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    numpy onnx==1.17.0 onnxruntime==1.23.2 openvino==2026.4.1

venv/bin/python - <<'EOP'
import sys
import numpy as np, onnx, onnxruntime, openvino
from onnx import TensorProto, helper, numpy_helper

constants = {"most": np.int64([2]), "iou": np.float32([0.5]), "score": np.float32([0])}
graph = helper.make_graph(
    [helper.make_node("NonMaxSuppression", ["boxes", "scores", *constants], ["kept"])],
    "nms",
    [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 2, 4]),
     helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1, 2])],
    [helper.make_tensor_value_info("kept", TensorProto.INT64, [None, 3])],
    [numpy_helper.from_array(value, name) for name, value in constants.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.save(model, "nms.onnx")
inputs = [np.float32([[[0, 0, 2, 4], [0, 0, 2, 2]]]), np.float32([[[0.9, 0.8]]])]
session = onnxruntime.InferenceSession("nms.onnx", providers=["CPUExecutionProvider"])
first = session.run(None, dict(zip(("boxes", "scores"), inputs)))[0]
compiled = openvino.Core().compile_model("nms.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
second = compiled(inputs)[0]
kept = {f"onnxruntime {onnxruntime.__version__}": int((first[:, 2] >= 0).sum()),
        f"openvino {openvino.__version__.split('-')[0]}": int((second[:, 2] >= 0).sum())}
for name, number in kept.items():
    print(f"{name}: {number} of 2 boxes kept")
sys.exit(0 if list(kept.values()) == [2, 1] else "changed: expected 2 and 1")
EOP

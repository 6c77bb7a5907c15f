#!/bin/sh
# One would guess: ONNX's own reference evaluator says what an operator gives, where runtimes are in doubt.
# It is not so for RoiAlign of opsets 10 to 15 (onnx 1.23.2): it takes half a px off the boxes, which is the
#   default from opset 16 on; before, there was no such thing. onnxruntime 1.23.2 and OpenVINO 2026.4.1
#   keep to each opset. On a map whose value is x, the middle of a box at x 2...6 is 4 in opset 11, and
#   3.5 by the evaluator; in opset 16 all three agree, with and without half a px.
# It matters: detectors are exported with these opsets (RoiAlign came with 10), and half a px of a map of
#   stride 16 is 8 px of the image: who checks an export against the evaluator mends what is right.
#   lhrcnn: exports opset 17, and tests run them by onnxruntime (tests/inference/export/test_onnx.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    numpy onnx==1.23.2 onnxruntime==1.23.2 openvino==2026.4.1
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import sys
import numpy as np, onnx, onnxruntime, openvino
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

RAMP = np.broadcast_to(np.arange(8, dtype=np.float32), [1, 1, 8, 8]).copy()
INPUTS = {"map": RAMP, "boxes": np.float32([[2, 2, 6, 6]]), "image": np.int64([0])}
CASES = {
    "opset 11": (11, {}),
    "opset 16": (16, {}),
    "opset 16, output_half_pixel": (16, {"coordinate_transformation_mode": "output_half_pixel"}),
}


def pooled(opset, mode):
    """The middle of the box by onnxruntime, OpenVINO and the reference evaluator."""
    node = helper.make_node(
        "RoiAlign", [*INPUTS], ["pooled"], output_height=1, output_width=1, sampling_ratio=1, **mode)
    kinds = {"map": TensorProto.FLOAT, "boxes": TensorProto.FLOAT, "image": TensorProto.INT64}
    graph = helper.make_graph(
        [node],
        "pool",
        [helper.make_tensor_value_info(name, kinds[name], value.shape) for name, value in INPUTS.items()],
        [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, 1, 1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, "pool.onnx")
    session = onnxruntime.InferenceSession("pool.onnx", providers=["CPUExecutionProvider"])
    compiled = openvino.Core().compile_model("pool.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = (
        session.run(None, INPUTS)[0],
        compiled([*INPUTS.values()])[0],
        ReferenceEvaluator(model).run(None, INPUTS)[0],
    )
    return [round(float(output.item()), 3) for output in outputs]


found = {name: pooled(*case) for name, case in CASES.items()}
print(f"onnxruntime {onnxruntime.__version__}, openvino {openvino.__version__.split('-')[0]},"
      f" reference of onnx {onnx.__version__}:")
for name, values in found.items():
    print(f"  {name:28}", *values)
expected = [[4.0, 4.0, 3.5], [3.5, 3.5, 3.5], [4.0, 4.0, 4.0]]
sys.exit(0 if [*found.values()] == expected else f"changed: expected {expected}")
EOP

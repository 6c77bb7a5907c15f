#!/bin/sh
# One would guess: RoiAlign of ONNX with mode max gives the largest of its bilinear samples, as in the papers.
# It is not so in onnxruntime: it gives the largest of the four pixels of a sample, each times its weight.
#   On a map of ones, with one sample in the middle of four pixels, onnxruntime gives 0.25, OpenVINO 1.
# It matters: a detector whose head pools maxima has other scores in one of the two, without any error.
#   lhrcnn: exports take mode avg with a sample per bin, and the maximum behind it (lhrcnn/ops/onnx_rois.py).
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
from onnx import TensorProto, helper

node = helper.make_node(
    "RoiAlign", ["map", "boxes", "image"], ["pooled"], mode="max", output_height=1, output_width=1,
    sampling_ratio=1, spatial_scale=1.0, coordinate_transformation_mode="half_pixel")
graph = helper.make_graph(
    [node],
    "pool",
    [helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 1, 4, 4]),
     helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 4]),
     helper.make_tensor_value_info("image", TensorProto.INT64, [1])],
    [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, 1, 1, 1])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.save(model, "pool.onnx")
inputs = [np.ones([1, 1, 4, 4], np.float32), np.float32([[1, 1, 3, 3]]), np.int64([0])]
session = onnxruntime.InferenceSession("pool.onnx", providers=["CPUExecutionProvider"])
first = session.run(None, dict(zip(("map", "boxes", "image"), inputs)))[0].item()
compiled = openvino.Core().compile_model("pool.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
second = compiled(inputs)[0].item()
print(f"onnxruntime {onnxruntime.__version__}: {first}")
print(f"openvino {openvino.__version__.split('-')[0]}: {second}")
sys.exit(0 if (first, second) == (0.25, 1.0) else "changed: expected 0.25 and 1")
EOP

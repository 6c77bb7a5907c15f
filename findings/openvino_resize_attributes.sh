#!/bin/sh
# One would guess: a runtime that reads ONNX's Resize does what its attributes say, or refuses them.
# It is not so (OpenVINO 2026.4.1): two that came with opset 18 are passed over. 1. keep_aspect_ratio_policy
#   not_larger, which fits an image into a square as letterboxing does: 8 x 16 px to at most 32 x 32 px are
#   16 x 32 px in onnxruntime 1.32.0 and 32 x 32 px, stretched, in OpenVINO. 2. antialias: shrunk by 4,
#   stripes one px wide come out black, white or grey as without it, where onnxruntime makes them grey.
# It matters: exports that take the image as it is carry their resizing in the graph. Boxes of a stretched image are
#   scaled back by the wrong factors, and objects have another shape than in training; thin objects of
#   large photos are lost or doubled. No message. The coordinate mode half_pixel_symmetric, which is as
#   new, is refused.
#   lhrcnn: these exports have an input of fixed size; preprocess.json says how an image becomes it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    onnx==1.19.1 onnxruntime==1.32.0 openvino==2026.4.1
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import sys
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper


def resized(image, size, **attributes):
    """What onnxruntime and OpenVINO make of an image [H, W]; None where it is refused."""
    graph = helper.make_graph(
        [helper.make_node("Resize", ["image", "", "", "size"], ["out"], mode="linear", axes=[2, 3], **attributes)],
        "resize",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, *image.shape])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.int64(size), "size")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=8), "resize.onnx")
    session = onnxruntime.InferenceSession("resize.onnx", providers=["CPUExecutionProvider"])
    made = [session.run(None, {"image": image[None, None]})[0][0, 0]]
    try:
        compiled = openvino.Core().compile_model("resize.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return [*made, compiled([image[None, None]])[0][0, 0]]
    except RuntimeError:
        return [*made, None]


versions = f"onnxruntime {onnxruntime.__version__}, OpenVINO {openvino.__version__.split('-')[0]}"
print(f"{versions}: Resize of opset 19")
image = np.arange(8 * 16, dtype=np.float32).reshape(8, 16)
shapes = [one.shape for one in resized(image, [32, 32], keep_aspect_ratio_policy="not_larger")]
print("  8 x 16 px, not larger than 32 x 32:", *shapes)
stripes = np.tile(np.float32([0, 0, 0, 255, 0]), (8, 8))
lines = [[np.round(one[0]).astype(int).tolist() for one in resized(stripes, [2, 10], antialias=k)] for k in (1, 0)]
for kind, row in zip(("with", "without"), lines):
    print(f"  stripes, every fifth px white, shrunk by 4 {kind} antialias:", *row)
refused = resized(image, [4, 7], coordinate_transformation_mode="half_pixel_symmetric")[1] is None
print("  half_pixel_symmetric refused by OpenVINO:", refused)
ignored = lines[0][1] == lines[1][1] == lines[1][0] != lines[0][0]
sys.exit(0 if shapes == [(16, 32), (32, 32)] and ignored and refused else "changed")
EOP

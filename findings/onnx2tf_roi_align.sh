#!/bin/sh
# One would guess: onnx2tf, which makes LiteRT of ONNX files, takes RoiAlign apart so that it gives what
#   onnxruntime gives, or refuses it: LiteRT has no such operator.
# It is not so (onnx2tf 2.6.9): 1. coordinate_transformation_mode is not looked at. half_pixel, the default
#   from opset 16 on, is half a px off, as if it were output_half_pixel. 2. samples beyond the middle of the
#   last pixels count as 0, where RoiAlign goes on with the border's value. On a map whose value is x, 12 px
#   wide, the right half of a box from 8 to 12 has the mean 10.5; LiteRT gives 8. No message.
# It matters: on a map of stride 16 half a px is 8 px of the image, and objects that end at the right or
#   lower border have features mixed with zeros: detectors lose accuracy, and quantisation gets the blame.
#   lhrcnn: refuses LiteRT for heads with RoIAlign (docs/serving.md); its ONNX files have half_pixel.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3.13 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile onnx2tf==2.6.9
cat > align.py <<'EOP'
import importlib.metadata
import subprocess
import sys
import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper

RAMP = np.tile(np.arange(12, dtype=np.float32), (8, 1))[None, None]
FEED = {"ramp": RAMP, "rois": np.array([[2, 2, 6, 6], [8, 2, 12, 6]], np.float32), "index": np.zeros(2, np.int64)}


def save(mode, ratio):
    """A RoiAlign of 1 x 2 bins, of opset 16, with the default mode where `mode` is None."""
    attributes = {} if mode is None else {"coordinate_transformation_mode": mode}
    sizes = {"output_height": 1, "output_width": 2, "sampling_ratio": ratio}
    node = helper.make_node("RoiAlign", list(FEED), ["y"], **sizes, **attributes)
    inputs = [
        helper.make_tensor_value_info(name, kind, FEED[name].shape)
        for name, kind in zip(FEED, (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64))
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 1, 1, 2])
    graph = helper.make_graph([node], "align", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, "align.onnx")


def litert():
    interpreter = Interpreter("out/align_float32.tflite")
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        value = next(FEED[name] for name in FEED if name in entry["name"])
        value = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
        interpreter.set_tensor(entry["index"], value.astype(entry["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


print(*(f"{name} {importlib.metadata.version(name)}" for name in ("onnx2tf", "onnxruntime", "ai-edge-litert")))
print("map of 8 x 12 px whose value is x; boxes x 2...6 and 8...12; means of their left and right halves")
found = []
for mode, ratio in ((None, 1), ("half_pixel", 1), ("output_half_pixel", 1), ("half_pixel", 2)):
    save(mode, ratio)
    session = onnxruntime.InferenceSession("align.onnx", providers=["CPUExecutionProvider"])
    right = session.run(None, FEED)[0].ravel().tolist()
    subprocess.run([sys.argv[1], "-i", "align.onnx", "-o", "out"], check=True, stdout=subprocess.DEVNULL)
    found.append((right, litert().ravel().tolist()))
    print(f"  {mode or 'default':17} {ratio} samples a side: onnxruntime {found[-1][0]}, LiteRT {found[-1][1]}")
half, whole, border = [2.5, 4.5, 8.5, 10.5], [3, 5, 9, 11], [3, 5, 9, 8]
sys.exit(found != [(half, whole), (half, whole), (whole, whole), (half, border)])
EOP
venv/bin/python align.py venv/bin/onnx2tf 2> log || { cat log; exit 1; }

#!/bin/sh
# One would guess: to write a model as OpenVINO's XML and to read it again changes nothing for other tools.
# It is not so: NNCF cannot quantise a model as OpenVINO reads it from an ONNX file, if a constant is used
#   both inside the body of a loop and outside ("Could not find a node"). The same model, saved and read
#   again, it can: the body then has a constant of its own.
# It matters: detectors have loops in NMS or voting, and `0` or `1` are shared by many operators.
#   lhrcnn: 8 bits for OpenVINO are made of the saved file (lhrcnn/inference/export/openvino.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    numpy==1.26.4 onnx==1.17.0 openvino==2026.4.1 nncf==3.4.0

venv/bin/python - <<'EOP'
import importlib.metadata
import logging
import sys
import numpy as np, nncf, onnx, onnx.parser, openvino

onnx.save(onnx.parser.parse_model("""
<ir_version: 8, opset_import: ["" : 17]>
model (float[1,3,8,8] image) => (float[1,4,8,8] last) <float[4,3,1,1] weights = {1,2,3,4,5,6,7,8,9,10,11,12}> {
  half = Constant <value_float = 0.5> ()
  three = Constant <value_int = 3> ()
  go = Constant <value = bool {1}> ()
  map = Conv (image, weights)
  start = Mul (map, half)
  last = Loop (three, go, start) <body = step
    (int64 count, bool running, float[1,4,8,8] before) => (bool goes_on, float[1,4,8,8] after) {
      after = Mul (before, half)
      goes_on = Identity (running)
  }>
}
"""), "model.onnx")
openvino.save_model(openvino.Core().read_model("model.onnx"), "model.xml")
nncf.set_log_level(logging.ERROR)
images = [np.full([1, 3, 8, 8], value, np.float32) for value in range(4)]
found = []
for name in ("model.onnx", "model.xml"):
    try:
        nncf.quantize(openvino.Core().read_model(name), nncf.Dataset(images), subset_size=4)
        found.append("quantised")
    except nncf.errors.InternalError as error:
        found.append(f"refused: {error}")
print("nncf", importlib.metadata.version("nncf"), "openvino", openvino.__version__)
for name, what in zip(("model.onnx", "model.xml"), found):
    print(f"{name}: {what}")
sys.exit(0 if found[0].startswith("refused") and found[1] == "quantised" else "changed")
EOP

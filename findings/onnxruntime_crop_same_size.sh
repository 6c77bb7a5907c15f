#!/bin/sh
# One would guess: Resize with tf_crop_and_resize, the operator that tf2onnx makes of tf.image.crop_and_resize, cuts
#   the box out of the map in onnxruntime, whatever the size of the crop.
# It is not so (onnxruntime 1.23.2 and 1.32.0): where the crop has as many cells as the map, by sizes or by scales of
#   1, the box is not looked at and the whole map comes back. The left half of a row 0 1 ... 7 as 8
#   cells is 0 .5 1 ... 3.5 by ONNX's reference evaluator (onnx 1.19.1); onnxruntime gives 0 1 ... 7. As 4
#   or 7 cells it is right. Linear, nearest and cubic alike.
# It matters: heads that crop 14 x 14 cells (Mask R-CNN, TensorFlow's detectors) get the features of the whole image
#   for every box where the map is 14 x 14, as it is of 224 px at stride 16; at other sizes of image, which
#   tests may use, all is right. No message.
#   lhrcnn: exports gather or sample by GridSample and RoiAlign (docs/serving.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > crop.py <<'EOP'
import sys
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

MODES = "linear", "nearest", "cubic"
row = np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8)
left_half = np.float32([0, 0, 0, 0, 1, 1, 1, 0.5])


def crops(cells, mode, by_scales):
    size = np.float32([1, 1, 1, cells / 8]) if by_scales else np.int64([1, 1, 1, cells])
    names = ["row", "box", "size"] if by_scales else ["row", "box", "", "size"]
    mapping = {"mode": mode, "coordinate_transformation_mode": "tf_crop_and_resize"}
    graph = helper.make_graph(
        [helper.make_node("Resize", names, ["crop"], **mapping)],
        "crop",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, row.shape)],
        [helper.make_tensor_value_info("crop", TensorProto.FLOAT, [1, 1, 1, cells])],
        [numpy_helper.from_array(left_half, "box"), numpy_helper.from_array(size, "size")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made = [one.run(None, {"row": row})[0] for one in (ReferenceEvaluator(model), session)]
    return [np.round(np.ravel(one).astype(float), 2).tolist() for one in made]


print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}: the left half of a row 0 1 ... 7")
good = True
for cells in (4, 7, 8):
    reference, found = crops(cells, "linear", by_scales=False)
    print(f"  as {cells} cells: reference {reference}, onnxruntime {found}")
    good &= np.allclose(reference, found, atol=0.02) == (cells != 8)
for mode in MODES:
    whole = [crops(8, mode, by_scales)[1] == row.ravel().tolist() for by_scales in (False, True)]
    print(f"  as 8 cells, {mode}: the whole row, by sizes {whole[0]}, by scales {whole[1]}")
    good &= all(whole)
sys.exit(0 if good else "changed")
EOP
for version in 1.23.2 1.32.0; do
    python3 -m venv "venv$version"
    "venv$version/bin/pip" install --quiet --disable-pip-version-check --no-compile onnx==1.19.1 "onnxruntime==$version"
    "venv$version/bin/python" crop.py 2> log || { cat log; exit 1; }
done

#!/bin/sh
# One would guess: NMS takes boxes of equal score in the order of their index in LiteRT too, as TensorFlow
#   and onnxruntime do.
# It is not so: of three boxes of equal score that do not overlap LiteRT gives another order than TensorFlow,
#   and with fewer places than boxes other boxes.
# It matters: scores of 8 bits, of a saturated sigmoid or of tests are often equal.
#   lhrcnn: NMS gets places instead of scores (lhrcnn/models/nms.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    tensorflow-cpu==2.15.1 'setuptools<81' ai-edge-litert==2.3.0

TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'EOP' 2>/dev/null
import importlib.metadata
import sys
import numpy as np, tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

BOXES = np.float32([[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5], [6, 6, 7, 7]])
SCORES = np.float32([0.5, 0.75, 0.5, 0.5])


@tf.function(input_signature=[tf.TensorSpec([4, 4], name="boxes"), tf.TensorSpec([4], name="scores")])
def nms(boxes, scores):
    kept, _ = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes, scores=scores, max_output_size=4, iou_threshold=0.5, score_threshold=0.0,
        pad_to_max_output_size=True,
    )
    return {"kept": kept}


module = tf.Module()
module.nms = nms
tf.saved_model.save(module, "saved", signatures=nms)
converter = tf.lite.TFLiteConverter.from_saved_model("saved")
run = Interpreter(model_content=converter.convert()).get_signature_runner()
first = nms(BOXES, SCORES)["kept"].numpy().tolist()
second = list(run(boxes=BOXES, scores=SCORES).values())[0].tolist()
print(f"tensorflow {tf.__version__}: {first}")
print(f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}: {second}")
sys.exit(0 if first == [1, 0, 2, 3] and second != first else "changed")
EOP

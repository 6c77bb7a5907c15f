#!/bin/sh
# One would guess: what tf2onnx converts without a message gives in onnxruntime what it gave in TensorFlow.
# It is not so (tf2onnx 1.17.0, TensorFlow 2.15.1): 1. non_max_suppression_with_scores with a soft_nms_sigma becomes
#   NMS without one: ONNX has no other, and the sigma is left out. With the iou_threshold of 1 that goes with
#   Soft-NMS nothing is suppressed: boxes of .9 .8 .7 that overlap by .6 to .8 come out so, where TensorFlow
#   gives .9 .45 .21. 2. image.resize by "area", the mean over each new pixel's area, becomes the nearest
#   pixel: 0 1 ... 15 in 4 pixels is 0 4 8 12 instead of 1.5 5.5 9.5 13.5.
# It matters: 1. every duplicate is kept with its full score, and AP falls by them; 2. shrunk images lie up to half of
#   the factor off (1.5 px of 4), and what is thinner than the factor is lost or doubled.
#   lhrcnn: Soft-NMS is a loop of small steps in its exports (docs/serving.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    tensorflow-cpu==2.15.1 tf2onnx==1.17.0 onnx==1.17.0 onnxruntime==1.23.2
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import logging
import sys
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx

warnings = []
logging.getLogger("tf2onnx").addFilter(lambda record: record.levelno < logging.WARNING or warnings.append(record))


def both(function, *inputs):
    """Outputs of TensorFlow and of onnxruntime, flat."""
    specs = [tf.TensorSpec(one.shape, tf.float32, name=f"input{k}") for k, one in enumerate(inputs)]
    traced = tf.function(function, input_signature=specs, autograph=False)
    model, _ = tf2onnx.convert.from_function(traced, input_signature=specs, opset=17)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made = session.run(None, {node.name: one for node, one in zip(session.get_inputs(), inputs)})
    results = traced(*inputs).numpy(), made[0]
    return [np.round(np.ravel(one).astype(float), 2).tolist() for one in results]


boxes = np.float32([[0, 0, 10, 10], [0, 1, 10, 11], [0, 2, 10, 12]])
scores = np.float32([0.9, 0.8, 0.7])
row = np.arange(16, dtype=np.float32).reshape(1, 1, 16, 1)
found = {
    "NMS with scores, iou_threshold .5": both(
        lambda b, s: tf.image.non_max_suppression_with_scores(b, s, 3, 0.5)[1], boxes, scores
    ),
    "Soft-NMS, sigma .5": both(
        lambda b, s: tf.image.non_max_suppression_with_scores(b, s, 3, 1.0, soft_nms_sigma=0.5)[1], boxes, scores
    ),
    "bilinear": both(lambda image: tf.image.resize(image, [1, 4]), row),
    "area": both(lambda image: tf.image.resize(image, [1, 4], method="area"), row),
}
print(f"tf2onnx {tf2onnx.__version__}, TensorFlow {tf.__version__}, onnxruntime {onnxruntime.__version__}")
for name, (python, onnx) in found.items():
    print(f"  {name}: TensorFlow {python}, onnxruntime {onnx}")
print("  warnings of tf2onnx:", len(warnings))
expected = [
    [[0.9]] * 2,
    [[0.9, 0.45, 0.21], [0.9, 0.8, 0.7]],
    [[1.5, 5.5, 9.5, 13.5]] * 2,
    [[1.5, 5.5, 9.5, 13.5], [0, 4, 8, 12]],
]
sys.exit(0 if [*found.values()] == expected and not warnings else f"changed: expected {expected}")
EOP

#!/bin/sh
# One would guess: a sigma of .5, with which the paper of Soft-NMS (arXiv 1704.04503) gets its results,
#   means the same in every library that has it: scores are multiplied by exp(-IoU^2 / sigma).
# It is not so: OpenCV 4.13.0 takes the paper's formula. TensorFlow 2.21.0, LiteRT and OpenVINO 2026.4.1
#   take exp(-IoU^2 / (2 sigma)), so that their sigma is to be half of the paper's. LiteRT besides drops
#   boxes whose IoU is above iou_threshold; TensorFlow and OpenVINO then ignore the threshold.
#   Of boxes with .9 and .8, IoU .8, the second keeps .22 in OpenCV, .42 in the others.
# It matters: values copied from one to another soften half as much, or twice; and a model converted from
#   TensorFlow to LiteRT, threshold and all, finds fewer boxes in crowds.
#   Known as github.com/tensorflow/tensorflow/issues/40253.
#   lhrcnn: soft_nms_sigma is the paper's, in all exports (lhrcnn/models/nms.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3.13 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    tensorflow-cpu==2.21.0 ai-edge-litert==2.1.2 openvino==2026.4.1 opencv-python-headless==4.13.0.92
cat > soft.py <<'EOP'
import importlib.metadata
import sys
import cv2
import numpy as np
import openvino
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from openvino import opset9

BOXES = np.array([[0, 0, 10, 10], [0, 0, 10, 8]], np.float32)  # y x y x; IoU .8
SCORES = np.array([0.9, 0.8], np.float32)
SIGMA = 0.5


def in_opencv():
    xywh = [[int(x), int(y), int(w - x), int(h - y)] for y, x, h, w in BOXES]
    return cv2.dnn.softNMSBoxes(xywh, SCORES.tolist(), 0.0, 0.5, sigma=SIGMA)[0]


def in_openvino():
    inputs = [opset9.parameter(shape, np.float32) for shape in ([1, 2, 4], [1, 1, 2])]
    limits = np.int64(2), np.float32(0.5), np.float32(0), np.float32(SIGMA)
    nms = opset9.non_max_suppression(*inputs, *limits, box_encoding="corner")
    model = openvino.compile_model(openvino.Model([nms.output(1)], inputs), "CPU")
    return model([BOXES[None], SCORES[None, None]])[0][:, 2]


@tf.function(input_signature=[tf.TensorSpec([2, 4]), tf.TensorSpec([2]), tf.TensorSpec([])])
def in_tensorflow(boxes, scores, threshold):
    return tf.raw_ops.NonMaxSuppressionV5(
        boxes=boxes, scores=scores, max_output_size=2, iou_threshold=threshold, score_threshold=0.0,
        soft_nms_sigma=SIGMA, pad_to_max_output_size=True,
    )  # fmt: skip


def in_litert(threshold):
    function = in_tensorflow.get_concrete_function()
    content = tf.lite.TFLiteConverter.from_concrete_functions([function], in_tensorflow).convert()
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        value = {2: BOXES, 1: SCORES, 0: np.float32(threshold)}[len(entry["shape"])]
        interpreter.set_tensor(entry["index"], value)
    interpreter.invoke()
    results = [interpreter.get_tensor(entry["index"]) for entry in interpreter.get_output_details()]
    scores = next(value for value in results if value.dtype == np.float32)
    return scores[: next(int(value) for value in results if value.ndim == 0)]


def in_tf(threshold):
    _, scores, count = in_tensorflow(BOXES, SCORES, threshold)
    return scores.numpy()[: int(count)]


names = ("tensorflow-cpu", "ai-edge-litert", "openvino", "opencv-python-headless")
print(*(f"{name} {importlib.metadata.version(name)}" for name in names), sep=", ")
found = {
    "paper": [0.9, 0.8 * np.exp(-(0.8**2) / SIGMA)],
    "OpenCV": in_opencv(),
    "OpenVINO, iou_threshold .5": in_openvino(),
    "TensorFlow, iou_threshold .5": in_tf(0.5),
    "LiteRT, iou_threshold 1": in_litert(1.0),
    "LiteRT, iou_threshold .5": in_litert(0.5),
}
found = {name: sorted((round(float(score), 3) for score in scores), reverse=True) for name, scores in found.items()}
for name, scores in found.items():
    print(f"  {name:28}", *scores)
halved, paper = [0.9, 0.422], [0.9, 0.222]
sys.exit(list(found.values()) != [paper, paper, halved, halved, halved, [0.9]])
EOP
venv/bin/python soft.py 2> log || { tail -n 20 log; exit 1; }

#!/bin/sh
# One would guess: TensorFlow's converter to LiteRT leaves a maximum with 0 and a minimum with 6 of integers
#   what they are, as it does for 0 and 5.
# It is not so: it makes Relu6 of them, whatever the type, and then refuses the model, since LiteRT has no
#   Relu6 of integers ("TF Select ops: Relu6"). Limits of 0 and 5 are converted and run.
# It matters: indices are clipped to 0...size-1 of a map, and one size in many fails with an operator that
#   stands nowhere in the model.
#   lhrcnn: positions are clipped as floats before they become indices (lhrcnn/ops/onnx_rois.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tensorflow-cpu==2.15.1 'setuptools<81'

TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - <<'EOP' 2>/dev/null
import sys
import tensorflow as tf

found = {}
for limit in (5, 6):
    clip = tf.function(
        lambda x: tf.clip_by_value(x, 0, limit), input_signature=[tf.TensorSpec([3], tf.int32)]
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([clip.get_concrete_function()])
    try:
        found[limit] = f"converted, {len(converter.convert()) > 0}"
    except Exception as error:
        found[limit] = next(line for line in str(error).splitlines() if "Select ops:" in line)
print("tensorflow", tf.__version__)
for limit, what in found.items():
    print(f"clip_by_value(int32, 0, {limit}): {what}")
sys.exit(0 if "converted" in found[5] and "Relu6" in found[6] else "changed")
EOP

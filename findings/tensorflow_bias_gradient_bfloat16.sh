#!/bin/sh
# One would guess: the gradient of a bias, a sum over all rows of a batch, is added up in 32 bits under
#   mixed_bfloat16, as the products beside it are.
# It is not so on CPUs: BiasAddGrad adds in bfloat16. 1,024 rows of 9 give 4096 instead of 9216, and of
#   10,368 rows less than a twentieth is left. Behind a convolution it is right, where TensorFlow fuses the
#   two; behind a dense layer it is not. float32 and float16 are right. TensorFlow 2.15.1 and 2.21.0 alike.
# It matters: heads of two-stage detectors have a row for each of 1,000 or 4,000 boxes. With gradients of
#   mixed signs their biases learn from sums that are 4 and 8 % off, with gradients of one sign from half of
#   the sum or an eighth. No message.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > bias.py <<'EOP'
import sys
import tensorflow as tf


def gradient(kind, rows):
    bias = tf.zeros([1024], kind)
    with tf.GradientTape() as tape:
        tape.watch(bias)
        y = tf.nn.bias_add(tf.zeros([rows, 1024], kind), bias)
    return float(tf.cast(tape.gradient(y, bias, tf.fill([rows, 1024], tf.cast(9.0, kind)))[0], tf.float32))


found = {}
for rows in (1024, 10368):
    for kind in (tf.float32, tf.bfloat16):
        found[kind.name, rows] = gradient(kind, rows)
        print(f"TensorFlow {tf.__version__}, {kind.name}: the sum of {rows} rows of 9 is {found[kind.name, rows]:.0f}")
wrong = found["bfloat16", 1024] < 0.6 * 9 * 1024 and found["bfloat16", 10368] < 0.1 * 9 * 10368
sys.exit(not (wrong and found["float32", 1024] == 9216 and found["float32", 10368] == 93312))
EOP
for pair in python3.11=2.15.1 python3.13=2.21.0; do
    python=${pair%%=*}
    "$python" -m venv "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check --no-compile \
        "tensorflow-cpu==${pair#*=}"
    TF_CPP_MIN_LOG_LEVEL=3 "$python/bin/python" bias.py 2>/dev/null
done

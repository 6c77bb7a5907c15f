#!/bin/sh
# One would guess: the mean of a map in 16 bits is added up in 32, as PyTorch does it: 9216 cells of 9 have
#   the mean 9.
# It is not so on CPUs. TensorFlow 2.15.1: reduce_mean over height and width gives 1.78 in bfloat16 (the sum
#   stays where another 9 no longer changes it), inf in float16; avg_pool2d in float16 gives 16.
#   TensorFlow 2.21.0: bfloat16 is right, float16 is as it was.
# It matters: squeeze-and-excite, global average pooling and the heads that average a map (R-FCN, ResNet C4)
#   train and detect with wrong numbers under mixed precision, without any message. On small maps (7 x 7)
#   single means are off by up to 2 % in bfloat16.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > means.py <<'EOP'
import math
import sys
import tensorflow as tf

maps = tf.fill([1, 96, 96, 8], 9.0)
found = {}
for kind in (tf.float32, tf.bfloat16, tf.float16):
    x = tf.cast(maps, kind)
    mean = float(tf.cast(tf.reduce_mean(x, [1, 2])[0, 0], tf.float32))
    pooled = float(tf.cast(tf.nn.avg_pool2d(x, 96, 96, "VALID")[0, 0, 0, 0], tf.float32))
    found[kind.name] = (mean, pooled)
    print(f"TensorFlow {tf.__version__}, {kind.name}: reduce_mean {mean}, avg_pool2d {pooled}")
old = tf.__version__.startswith("2.15")
expected = {
    "float32": (9.0, 9.0),
    "bfloat16": (1.78125 if old else 9.0, 9.0),
    "float16": (math.inf, 16.0),
}
sys.exit(found != expected)
EOP
for pair in python3.11=2.15.1 python3.13=2.21.0; do
    python=${pair%%=*}
    "$python" -m venv "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check --no-compile \
        "tensorflow-cpu==${pair#*=}"
    TF_CPP_MIN_LOG_LEVEL=3 "$python/bin/python" means.py 2>/dev/null
done

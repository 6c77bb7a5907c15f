#!/bin/sh
# One would guess: a tensor that nothing refers to any more gives all its memory back, whatever the Python.
# It is not so: with Python 3.11 TensorFlow 2.15.1 loses one small block of Python's memory for each eager
#   tensor, 48 bytes of the process; with Python 3.10 none. (TensorFlow 2.21 loses none with Python 3.12 and 3.13.)
# It matters: reading a variable makes two tensors, a step of training returns a dozen. Long trainings and
#   servers grow, slowly and without end, and no collection of garbage helps.
#   Known as github.com/tensorflow/tensorflow/issues/62551.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > grown.py <<'EOP'
import pathlib
import sys
import tensorflow as tf


def resident():
    return 4096 * int(pathlib.Path("/proc/self/statm").read_text().split()[1])


variable = tf.Variable(1.0)
for _ in range(10**5):
    variable.numpy()
before = resident()
for _ in range(2 * 10**5):
    variable.numpy()
lost = (resident() - before) / (2 * 10**5)
print(f"TensorFlow {tf.__version__}, Python {sys.version.split()[0]}: {lost:.1f} bytes lost a read")
sys.exit(not (lost > 20 if sys.version_info[:2] == (3, 11) else lost < 4))
EOP
for python in python3.10 python3.11; do
    "$python" -m venv "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check --no-compile \
        tensorflow-cpu==2.15.1
    TF_CPP_MIN_LOG_LEVEL=3 "$python/bin/python" grown.py 2>/dev/null
done

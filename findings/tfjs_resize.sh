#!/bin/sh
# One would guess: the layers Resizing and UpSampling2D of a Keras model, and tf.image.resize before it, do in
#   TensorFlow.js what they do in Python.
# It is not so (TensorFlow.js 4.22.0, TensorFlow 2.21.0, Keras 3.15.1): Python takes the middles of pixels. In
#   JavaScript the layer Resizing takes align_corners=True, with crop_to_aspect_ratio neither, and does not
#   crop then; UpSampling2D (bilinear) and image.resizeBilinear as it is called without options take
#   neither. Of a row 0 1 ... 7 resized to 4 Python makes .5 2.5 4.5 6.5; the layer 0 2.3 4.7 7, the
#   function 0 2 4 6. Only resizeBilinear(x, size, false, true) is Python's.
# It matters: images shrunk by 4 lie 1.5 px of the photo off, by the layer only near their borders, and so do the boxes
#   found in them; each doubling of a map moves it by a quarter of a cell, 4 px of the image at stride
#   16. No message; the model gets the blame.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile tensorflow-cpu==2.21.0 keras==3.15.1
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . \
    @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-layers@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0 > log 2>&1 \
    || { cat log; exit 1; }
cat > resize.js <<'EOP'
const tf = require("@tensorflow/tfjs-core");
const { layers } = require("@tensorflow/tfjs-layers");
require("@tensorflow/tfjs-backend-cpu");

async function main() {
  await tf.setBackend("cpu");
  const row = tf.reshape(tf.range(0, 8), [1, 1, 8, 1]);
  const size = { height: 1, width: 4 };
  const made = {
    "image.resize": tf.image.resizeBilinear(row, [1, 4]),
    "image.resize, half pixels": tf.image.resizeBilinear(row, [1, 4], false, true),
    "Resizing": layers.resizing(size).apply(row),
    "Resizing, crop": layers.resizing({ ...size, cropToAspectRatio: true }).apply(row),
    "UpSampling2D": layers.upSampling2d({ size: [1, 2], interpolation: "bilinear" }).apply(row),
  };
  const values = {};
  for (const name in made) values[name] = Array.from(await made[name].data());
  require("fs").writeFileSync("js.json", JSON.stringify({ version: tf.version_core, values }));
}
main();
EOP
node resize.js > log 2>&1 || { cat log; exit 1; }
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import json
import sys
import keras
import numpy as np
import tensorflow as tf

row = tf.reshape(tf.range(8.0), [1, 1, 8, 1])
python = {
    "image.resize": tf.image.resize(row, [1, 4]),
    "image.resize, half pixels": tf.image.resize(row, [1, 4]),
    "Resizing": keras.layers.Resizing(1, 4)(row),
    "Resizing, crop": keras.layers.Resizing(1, 4, crop_to_aspect_ratio=True)(row),
    "UpSampling2D": keras.layers.UpSampling2D((1, 2), interpolation="bilinear")(row),
}
script = json.load(open("js.json"))
print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, TensorFlow.js {script['version']}: a row of 0 to 7")
found = {}
for name, values in python.items():
    found[name] = [np.round(np.ravel(one), 2).tolist() for one in (values, script["values"][name])]
    print(f"  {name}: Python {found[name][0]}, JavaScript {found[name][1]}")
middles, doubled = [0.5, 2.5, 4.5, 6.5], [0, *np.arange(0.25, 7, 0.5).tolist(), 7]
expected = {
    "image.resize": [middles, [0, 2, 4, 6]],
    "image.resize, half pixels": [middles, middles],
    "Resizing": [middles, [0, 2.33, 4.67, 7]],
    "Resizing, crop": [[2, 3, 4, 5], [0, 2, 4, 6]],
    "UpSampling2D": [doubled, [*np.arange(0, 7.5, 0.5).tolist(), 7]],
}
sys.exit(0 if found == expected else "changed")
EOP

#!/bin/sh
# One would guess: an average of weights (`use_ema=True`) is the same whether a batch is taken at once or
#   gathered from parts (`gradient_accumulation_steps`); and looking at it (SwapEMAWeights) changes nothing.
# It is not so in Keras 3.15.1: 1. the average moves at each part, also where the weights did not move: with 4
#   parts ema_momentum .9 counts as .9^4 = .66. Of the same weights the average is .764 instead of .841.
#   2. with TensorFlow, SwapEMAWeights exchanges weights and averages by adding and subtracting them. After
#   each validation the weights that training goes on with are off by a rounding: a training that
#   validates ends with other weights than one that does not.
# It matters: 1. with 32 parts .999 averages over 32 updates instead of 1,000, which is hardly an average.
#   2. no run repeats another to the bit that validated at other times.
#   lhrcnn: the average moves once a step, and is swapped by copies (lhrcnn/training/ema.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3.13 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile keras==3.15.1 tensorflow-cpu==2.21.0
cat > ema.py <<'EOP'
import sys
import keras
import numpy as np


class Weights(keras.callbacks.Callback):
    """The weights after the last epoch, before the average takes their place."""

    def on_epoch_end(self, epoch, logs=None):
        self.last = float(self.model.get_weights()[0][0, 0])


def gathered(parts):
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    accumulation = {"gradient_accumulation_steps": parts} if parts > 1 else {}
    model.compile(keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.9, **accumulation), loss="mse")
    x, seen = np.ones([32, 1], np.float32), Weights()
    model.fit(x, 0 * x, batch_size=8 // parts, epochs=4, verbose=0, shuffle=False, callbacks=[seen])
    return round(seen.last, 3), round(float(model.get_weights()[0][0, 0]), 3)


def trained(validate):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=[256, 16]).astype(np.float32)
    y = 2 * x[:, :1] + 1
    model = keras.Sequential([keras.layers.Dense(64, activation="relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9), loss="mse")
    extra = {"validation_data": (x[:8], y[:8]), "callbacks": [keras.callbacks.SwapEMAWeights()]} if validate else {}
    model.fit(x, y, epochs=20, shuffle=False, verbose=0, **extra)
    return np.concatenate([weights.ravel() for weights in model.get_weights()])


print("keras", keras.__version__, "with", keras.backend.backend())
found = [gathered(1), gathered(4)]
for name, (weight, average) in zip(("batches of 8", "4 parts of 2"), found):
    print(f"  {name}: weight {weight}, average with momentum .9 {average}")
without, again, validated = trained(False), trained(False), trained(True)
changed = [float(np.mean(without != other)) for other in (again, validated)]
print(f"  share of weights that differ: the same training again {changed[0]}, with validations {changed[1]:.2f}")
print(f"  by at most {abs(without - validated).max():.1e}")
sys.exit(not (found == [(0.724, 0.841), (0.724, 0.764)] and changed[0] == 0 and changed[1] > 0.1))
EOP
KERAS_BACKEND=tensorflow venv/bin/python ema.py 2> log || { tail -n 20 log; exit 1; }

#!/bin/sh
# One would guess: LearningRateScheduler and ReduceLROnPlateau change the learning rate, or say that they
#   cannot: setting `optimizer.learning_rate` is an error where it was made with a LearningRateSchedule.
# It is not so in Keras 2 (TensorFlow 2.15.1's, and tf_keras 2.21): there the callback sets a copy that the
#   optimizer overwrites before it is used. Weights are those without the callback, to the bit.
#   Keras 3.15.1 raises TypeError.
# It matters: a training that seems to decay its rate by the callback has that of the schedule. lhrcnn, whose
#   rates are schedules, refuses both (docs/python.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > rates.py <<'EOP'
import sys
import numpy as np

if sys.argv[1] == "keras":
    import keras
else:
    from tensorflow import keras
    if sys.argv[1] == "tf_keras":
        import tf_keras as keras


def weights(*callbacks):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(1)])
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 100, 0.9)
    model.compile(keras.optimizers.SGD(schedule), loss="mse")
    x = np.arange(8.0).reshape(4, 2) / 8
    try:
        model.fit(x, x[:, :1], epochs=3, verbose=0, callbacks=list(callbacks))
    except TypeError as error:
        return f"TypeError: {str(error).split('.')[0]}"
    return model.get_weights()[0].ravel().tolist()


found = [
    weights(),
    weights(keras.callbacks.LearningRateScheduler(lambda epoch: 1e-9)),
    weights(keras.callbacks.ReduceLROnPlateau("loss", factor=1e-9, patience=0, min_delta=99)),
]
print(sys.argv[1], getattr(keras, "__version__", None) or __import__("tensorflow").__version__)
for name, value in zip(("no callback", "LearningRateScheduler", "ReduceLROnPlateau"), found):
    print(f"  {name:21} {value}")
refused = [isinstance(value, str) for value in found]
silent = found[0] == found[1] == found[2]
sys.exit(not (refused == [False, True, True] if sys.argv[1] == "keras" else silent))
EOP
python3.11 -m venv first
first/bin/pip install --quiet --disable-pip-version-check --no-compile tensorflow-cpu==2.15.1
python3.13 -m venv second
second/bin/pip install --quiet --disable-pip-version-check --no-compile tensorflow-cpu==2.21.0 tf_keras==2.21.0
export TF_CPP_MIN_LOG_LEVEL=3
first/bin/python rates.py tensorflow 2>/dev/null
second/bin/python rates.py tf_keras 2>/dev/null
second/bin/python rates.py keras 2>/dev/null

"""What of a model and its optimizer a checkpoint holds, and how it is put back."""

import hashlib

from lhrcnn.errors import CheckpointError
from lhrcnn.keras import keras


def model_arrays(detector):
    """All weights of a detector, batch norm statistics included, as `model/NAME` -> ndarray."""
    variables = detector.named_variables()
    return {f"model/{name}": variable.numpy() for name, variable in variables.items()}


def digest_of(variables):
    """Hexadecimal sha256 of the names and values of variables {name: variable}."""
    digest = hashlib.sha256()
    for name, variable in variables.items():
        value = variable.numpy()
        digest.update(f"{name} {value.dtype} {value.shape}".encode() + value.tobytes())
    return digest.hexdigest()


def weights_of(arrays, prefer_ema=True):
    """{name: array} of the model in a checkpoint's arrays; averaged ones, where present, win unless
    `prefer_ema` is False."""
    kinds = ("model/", "ema/") if prefer_ema else ("model/",)
    return {
        name[len(kind) :]: array
        for kind in kinds
        for name, array in arrays.items()
        if name.startswith(kind)
    }


def restore_model(detector, arrays, prefer_ema=True):
    """Sets all weights of a detector from a checkpoint's arrays, see `weights_of`.

    Raises CheckpointError that lists every name that is missing, left over, or of another shape;
    then nothing was changed."""
    variables, values = detector.named_variables(), weights_of(arrays, prefer_ema)
    _assign(variables, values, "model", "was the run made with another config, or other classes?")


def optimizer_arrays(optimizer):
    """The state of a Keras optimizer (step, momenta, loss scale) as `optimizer/NUMBER` -> ndarray,
    numbered in the order that the optimizer has them in."""
    variables = _optimizer_variables(optimizer)
    arrays = {f"optimizer/{name}": variable.numpy() for name, variable in variables.items()}
    if _scales_loss(optimizer):
        arrays["optimizer/loss_scale"] = optimizer.loss_scale.numpy()
    return arrays


def restore_optimizer(optimizer, arrays):
    """Sets the state of an optimizer, whose slots exist already, from a checkpoint's arrays.

    A loss scale can only be given to Keras when the optimizer is made: make it with
    `saved_loss_scale(arrays)`. Raises CheckpointError that lists what does not fit."""
    # Older checkpoints have the variable's Keras name behind the number.
    values = {
        name.split("/")[1]: value for name, value in arrays.items() if name.startswith("optimizer/")
    }
    scale = values.pop("loss_scale", None)
    own = optimizer.loss_scale.numpy() if _scales_loss(optimizer) else None
    if scale != own:
        raise CheckpointError(
            f"the checkpoint's loss scale is {scale}, this optimizer's {own}; "
            "was the run made with another train.precision?"
        )
    hint = "was the run made with other train options?"
    _assign(_optimizer_variables(optimizer), values, "optimizer", hint)


def saved_loss_scale(arrays):
    """The loss scale of a mixed_float16 run's checkpoint, else None."""
    scale = arrays.get("optimizer/loss_scale")
    return None if scale is None else float(scale)


def _scales_loss(optimizer):
    return isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer)


def _optimizer_variables(optimizer):
    # Called: a method on legacy optimizers, a list that allows the call on others.
    variables = list(optimizer.variables())
    if _scales_loss(optimizer):
        variables.append(optimizer.dynamic_counter)
    return {f"{i:04d}": variable for i, variable in enumerate(variables)}


def _assign(variables, values, what, hint):
    """Assigns values (name -> ndarray) to variables (name -> tf.Variable) when names and shapes are
    the same on both sides."""
    problems = [f"{name}: missing in the checkpoint" for name in variables.keys() - values.keys()]
    unknown = values.keys() - variables.keys()
    problems += [f"{name}: in the checkpoint, unknown here" for name in unknown]
    problems += [
        f"{name}: {list(values[name].shape)} in the checkpoint, {variable.shape.as_list()} here"
        for name, variable in variables.items()
        if name in values and values[name].shape != tuple(variable.shape)
    ]
    if problems:
        raise CheckpointError(
            f"the checkpoint does not fit this {what} ({hint}):\n  " + "\n  ".join(sorted(problems))
        )
    for name, variable in variables.items():
        variable.assign(values[name].astype(variable.dtype.as_numpy_dtype))

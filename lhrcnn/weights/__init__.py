"""Pretrained weights: one module for each foreign format, and the accounting of what was used."""
import os
import pathlib

from absl import logging
import numpy as np

from lhrcnn.weights import keras_applications, torchvision

PREFIX = "backbone/"
FOLDERS = ("weights", "../shared/weights")  # searched for imagenet weights after $LHRCNN_WEIGHTS, relative to the working directory


def load_backbone(detector, name, source):
    """Sets the variables of the backbone `name` and logs what was used.

    `source` is a file (.npz or torchvision .pth), a run directory, or "imagenet": the file NAME_imagenet.npz of a weights folder,
    else what tf.keras.applications downloads. Arrays carry this library's names (`backbone/...`) or torchvision's.
    Returns (restored names, missing names). Raises FileNotFoundError, and ValueError if no array fits or a shape differs."""
    if source == "imagenet":
        source, arrays = _imagenet(name)
    else:
        arrays = read_arrays(source)
    if "features.0.0.weight" in arrays:
        arrays = torchvision.mobilenet_v2(arrays)
    variables = {name: variable for name, variable in detector.named_variables().items() if name.startswith(PREFIX)}
    restored, missing = assign(variables, arrays, source)
    logging.info(
        "%s: %d of %d backbone variables restored%s", source, len(restored), len(variables),
        f"; not in the file: {', '.join(missing)}" if missing else "")
    return restored, missing


def assign(variables, arrays, source):
    """Assigns arrays to the variables of the same name; returns (restored names, names without an array).

    Raises ValueError, with `source`, if a shape differs or nothing matches."""
    restored = [name for name in variables if name in arrays]
    if not restored:
        raise ValueError(f"{source}: none of its {len(arrays)} arrays fits this model; it holds {', '.join(sorted(arrays)[:3])} ..., "
                         f"the model needs {', '.join(sorted(variables)[:3])} ...")
    wrong = [f"{name} {arrays[name].shape} instead of {tuple(variables[name].shape)}"
             for name in restored if arrays[name].shape != tuple(variables[name].shape)]
    if wrong:
        raise ValueError(f"{source}: arrays of another shape than the model's: {'; '.join(wrong[:5])} ({len(wrong)} in all)")
    for name in restored:
        variables[name].assign(arrays[name].astype(np.float32))
    return restored, [name for name in variables if name not in arrays]


def read_arrays(source):
    """{name: array} of an .npz file, a torch state dict (.pth, .pt; needs torch), or a run directory's best checkpoint.

    Raises FileNotFoundError, and ValueError for another kind of file."""
    path = pathlib.Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such weights file or run directory (option model.backbone.weights)")
    if path.is_dir():
        from lhrcnn.checkpoints import CheckpointStore
        arrays, _ = CheckpointStore(path).load("best")
        return {name.split("/", 1)[1]: array for kind in ("model/", "ema/") for name, array in arrays.items() if name.startswith(kind)}
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: not readable as .npz: {error}") from None
    if path.suffix in (".pth", ".pt"):
        return torchvision.read_state_dict(path)
    raise ValueError(f"{path}: weights come as .npz, .pth, .pt or a run directory, found '{path.suffix}'")


def _imagenet(name):
    """(where they come from, arrays) of the ImageNet weights of a backbone."""
    folders = [os.environ["LHRCNN_WEIGHTS"]] if "LHRCNN_WEIGHTS" in os.environ else []
    for folder in [*folders, *FOLDERS]:
        path = pathlib.Path(folder, f"{name}_imagenet.npz")
        if path.is_file():
            return path, read_arrays(path)
    if name != "mobilenet_v2":
        raise FileNotFoundError(f"'model.backbone.weights': there are no public ImageNet weights for {name}; set it to a file, a run "
                                f"directory, or '' to start from random weights")
    return "tf.keras.applications", keras_applications.mobilenet_v2()

"""torchvision checkpoints: names and array layouts."""
import numpy as np

from lhrcnn.backbones.mobilenet import BLOCKS

NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def read_state_dict(path):
    """{name: array} of a torch state dict, loaded as plain tensors only. Raises ValueError where torch is missing."""
    try:
        import torch
    except ImportError:
        raise ValueError(f"{path}: reading .pth files needs torch (pip install torch), or save the state dict's arrays as .npz") from None
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items()}


def mobilenet_v2(state):
    """{this library's name: array} of torchvision's mobilenet_v2 state dict.

    The last 1x1 convolution (features.18) and the classifier serve classification alone and are left out. Raises ValueError
    naming an array that is absent."""
    layers = {"block0": ("features.0.0", "features.0.1")}
    index = 0
    for expansion, _, repeats, _ in BLOCKS:
        for _ in range(repeats):
            index += 1
            parts = (["expand"] if expansion > 1 else []) + ["depthwise"]
            for place, part in enumerate(parts):
                layers[f"block{index}_{part}"] = (f"features.{index}.conv.{place}.0", f"features.{index}.conv.{place}.1")
            layers[f"block{index}_project"] = (f"features.{index}.conv.{len(parts)}", f"features.{index}.conv.{len(parts) + 1}")
    arrays = {}
    try:
        for name, (conv, norm) in layers.items():
            kernel = np.transpose(state[f"{conv}.weight"], (2, 3, 1, 0))  # OIHW -> HWIO
            if name.endswith("depthwise"):
                arrays[f"backbone/{name}/depthwise_kernel"] = np.transpose(kernel, (0, 1, 3, 2))
            else:
                arrays[f"backbone/{name}/kernel"] = kernel
            for theirs, ours in NORM.items():
                arrays[f"backbone/{name}_norm/{ours}"] = state[f"{norm}.{theirs}"]
    except KeyError as error:
        raise ValueError(f"torchvision mobilenet_v2 checkpoint lacks {error}") from None
    return arrays

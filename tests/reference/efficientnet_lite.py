"""Slow, obvious forward pass of EfficientNet-Lite on a PyTorch state dict, padded as SAME does."""

import numpy as np

STEM_CHANNELS, TOP_CHANNELS = 32, 1280
LITE0 = (  # repeats, channels, stride of the first unit, kernel size
    (1, 16, 1, 3),
    (2, 24, 2, 3),
    (2, 40, 2, 5),
    (3, 80, 2, 3),
    (3, 112, 1, 5),
    (4, 192, 2, 5),
    (1, 320, 1, 3),
)
LITE1 = (
    (1, 16, 1, 3),
    (3, 24, 2, 3),
    (3, 40, 2, 5),
    (4, 80, 2, 3),
    (4, 112, 1, 5),
    (5, 192, 2, 5),
    (1, 320, 1, 3),
)
LITE2 = (
    (1, 16, 1, 3),
    (3, 24, 2, 3),
    (3, 48, 2, 5),
    (4, 88, 2, 3),
    (4, 120, 1, 5),
    (5, 208, 2, 5),
    (1, 352, 1, 3),
)
NETWORKS = {"efficientnet_lite0": LITE0, "efficientnet_lite1": LITE1, "efficientnet_lite2": LITE2}
MAPS = {"c2": 1, "c3": 2, "c4": 4, "c5": 6}  # the stage that ends each map


def state_dict(name, rng):
    """A state dict of random arrays, classifier included."""
    state = {}

    def conv(layer, *shape):
        fan_in = np.prod(shape[1:])
        state[f"{layer}.weight"] = rng.normal(size=shape).astype(np.float32) * np.float32(
            np.sqrt(2 / fan_in)
        )

    def norm(layer, channels):
        for part, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -0.2, 0.2),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 1.5),
        ):
            state[f"{layer}.{part}"] = rng.uniform(low, high, channels).astype(np.float32)
        state[f"{layer}.num_batches_tracked"] = np.int64(1)

    conv("_conv_stem", STEM_CHANNELS, 3, 3, 3)
    norm("_bn0", STEM_CHANNELS)
    channels, index = STEM_CHANNELS, 0
    for stage, (repeats, out, _, size) in enumerate(NETWORKS[name]):
        for _ in range(repeats):
            block, inner = f"_blocks.{index}", channels if stage == 0 else 6 * channels
            if stage > 0:
                conv(f"{block}._expand_conv", inner, channels, 1, 1)
                norm(f"{block}._bn0", inner)
            conv(f"{block}._depthwise_conv", inner, 1, size, size)
            norm(f"{block}._bn1", inner)
            conv(f"{block}._project_conv", out, inner, 1, 1)
            norm(f"{block}._bn2", out)
            channels, index = out, index + 1
    conv("_conv_head", TOP_CHANNELS, channels, 1, 1)
    norm("_bn1", TOP_CHANNELS)
    state["_fc.weight"], state["_fc.bias"] = (
        np.zeros([10, TOP_CHANNELS], np.float32),
        np.zeros(10, np.float32),
    )
    return state


def maps(name, state, pixels):
    """{"c2", ..., "c5", "top"} maps [B, h, w, C] of RGB pixels [B, H, W, 3] in 0-255.

    "top" is what the classifier averages."""
    x = relu6(
        norm(convolution((pixels - 127.0) / 128.0, state["_conv_stem.weight"], 2), state, "_bn0")
    )
    outputs, index = {}, 0
    for stage, (repeats, _, stride, _) in enumerate(NETWORKS[name]):
        for unit in range(repeats):
            x = block(x, state, f"_blocks.{index}", stride if unit == 0 else 1)
            index += 1
        outputs.update({level: x for level, last in MAPS.items() if last == stage})
    outputs["top"] = relu6(norm(convolution(x, state["_conv_head.weight"], 1), state, "_bn1"))
    return outputs


def block(x, state, name, stride):
    """A mobile inverted bottleneck."""
    y = x
    if f"{name}._expand_conv.weight" in state:
        y = relu6(
            norm(convolution(y, state[f"{name}._expand_conv.weight"], 1), state, f"{name}._bn0")
        )
    y = relu6(
        norm(convolution(y, state[f"{name}._depthwise_conv.weight"], stride), state, f"{name}._bn1")
    )
    y = norm(convolution(y, state[f"{name}._project_conv.weight"], 1), state, f"{name}._bn2")
    return x + y if x.shape == y.shape else y


def convolution(x, kernel, stride):
    """x [B, h, w, C] with kernel [D, C, k, k], or [C, 1, k, k] channel by channel, padded as SAME.

    Returns [B, ceil(h / stride), ceil(w / stride), D]."""
    size = kernel.shape[-1]
    height, width = (-(-side // stride) for side in x.shape[1:3])
    margins = [
        max(0, (cells - 1) * stride + size - side)
        for cells, side in zip((height, width), x.shape[1:3])
    ]
    x = np.pad(x, [(0, 0), *((margin // 2, margin - margin // 2) for margin in margins), (0, 0)])
    out = 0.0
    for i, j in np.ndindex(size, size):
        window = x[
            :, i : i + (height - 1) * stride + 1 : stride, j : j + (width - 1) * stride + 1 : stride
        ]
        tap = kernel[:, :, i, j]
        out = out + (window * tap[:, 0] if tap.shape[1] == 1 else window @ tap.T)
    return out


def norm(x, state, name):
    """Batch norm with fixed statistics."""
    scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + 1e-3)
    return (x - state[f"{name}.running_mean"]) * scale + state[f"{name}.bias"]


def relu6(x):
    """x within 0 and 6."""
    return np.clip(x, 0, 6)

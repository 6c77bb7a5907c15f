"""How arrays are laid out elsewhere, and how they become ours: kernels HWIO or [in, out], deltas
(dy, dx, dh, dw), background last.

Every function takes kernels and biases alike: what it reorders is their last axis, the outputs,
unless it says otherwise.
"""

import numpy as np


def from_torch(array):
    """HWIO of OIHW, [in, out] of [out, in]; anything of one axis as it is."""
    return np.transpose(array, {4: (2, 3, 1, 0), 2: (1, 0)}.get(array.ndim))


def depthwise(array):
    """[h, w, C, 1] of a depthwise kernel [h, w, 1, C]."""
    return np.transpose(array, (0, 1, 3, 2)) if array.ndim == 4 else array


def from_channels_first(size):
    """A function that turns the inputs of a dense kernel [C * size * size, out] from channel, row,
    column to row, column, channel."""

    def reorder(array):
        if array.ndim == 1:
            return array
        return (
            array.reshape(-1, size, size, array.shape[1]).transpose(1, 2, 0, 3).reshape(array.shape)
        )

    return reorder


def bin_major(size):
    """A function that turns outputs from channel, row, column of a bin to row, column, channel: our
    position-sensitive maps."""
    return lambda array: np.swapaxes(
        array.reshape(*array.shape[:-1], -1, size * size), -1, -2
    ).reshape(array.shape)


def yx_deltas(array):
    """Deltas (dy, dx, dh, dw) of (dx, dy, dw, dh)."""
    return array.reshape(*array.shape[:-1], -1, 4)[..., [1, 0, 3, 2]].reshape(array.shape)


def ratio_major(num_scales, num_ratios):
    """A function that turns the outputs of anchors that go through all ratios of a scale, then of
    the next, into ours: all scales of a ratio, then of the next."""
    return lambda array: np.swapaxes(
        array.reshape(*array.shape[:-1], num_scales, num_ratios, -1), -3, -2
    ).reshape(array.shape)


def background_last(array):
    """Class scores with the first, the background, moved to the end."""
    return np.roll(array, -1, axis=-1)


def without_background(array):
    """Class-specific boxes without the first class, the background, whose box means nothing; one
    box for all classes as it is."""
    return array[..., 4:] if array.shape[-1] > 4 else array


def foreground_logit(array):
    """One logit for each pair (background, foreground): the sigmoid of their difference is the
    pair's softmax."""
    return array[..., 1::2] - array[..., 0::2]


def match_epsilon(gamma, variance, epsilon, ours=1e-5):
    """(gamma, variance) with which batch norm of epsilon `ours` does what it did with `epsilon`,
    for fixed statistics.

    The variance takes up a larger epsilon, so that gamma keeps its meaning in training; for a
    smaller one it might turn negative, and gamma is scaled."""
    if epsilon >= ours:
        return gamma, variance + np.float32(epsilon - ours)
    return gamma * np.sqrt(
        (variance + np.float32(ours)) / (variance + np.float32(epsilon))
    ), variance


def renormalise(kernel, mean, std, new_mean, new_std):
    """(kernel HWIO, shift [out]) of a first convolution for pixels normalised by new_mean and
    new_std instead of mean and std (RGB).

    Convolution plus shift is as before, except where the window reaches over the image's edge if
    the means differ."""
    mean, std, new_mean, new_std = (
        np.asarray(values, np.float32) for values in (mean, std, new_mean, new_std)
    )
    shift = np.einsum("hwio,i->o", kernel, (new_mean - mean) / std)
    return kernel * (new_std / std)[:, None], shift

"""Slow, obvious twins of convolutions and of what a feature pyramid does to maps."""

import numpy as np


def grouped_convolution(x, kernel, groups, stride=1, dilation=1):
    """Convolution of x [B, h, w, C] with kernel [k, k, C / groups, D], k odd, with k // 2 *
    dilation zeros on every side."""
    images, height, width, _ = x.shape
    size, _, inputs, channels = kernel.shape
    margin = size // 2 * dilation
    x = np.pad(x, [(0, 0), (margin, margin), (margin, margin), (0, 0)])
    out = np.zeros([images, -(-height // stride), -(-width // stride), channels], x.dtype)
    for image, row, column, channel in np.ndindex(*out.shape):
        first = channel // (channels // groups) * inputs
        for i, j in np.ndindex(size, size):
            pixel = x[
                image,
                row * stride + i * dilation,
                column * stride + j * dilation,
                first : first + inputs,
            ]
            out[image, row, column, channel] += pixel @ kernel[i, j, :, channel]
    return out


def nearest(x, height, width):
    """x [B, h, w, C] resized to height x width: pixel (i, j) is a copy of (floor(i h / height),
    floor(j w / width))."""
    rows = [i * x.shape[1] // height for i in range(height)]
    columns = [j * x.shape[2] // width for j in range(width)]
    return x[:, rows][:, :, columns]


def feature_pyramid(maps, laterals, outputs):
    """Pyramid levels, fine to coarse, of backbone maps [B, h, w, C], fine to coarse, and (kernel,
    bias) pairs of each level."""
    levels, above = [], None
    for x, lateral, output in reversed(list(zip(maps, laterals, outputs))):
        x = grouped_convolution(x, lateral[0], 1) + lateral[1]
        if above is not None:
            x = x + nearest(above, *x.shape[1:3])
        above = x
        levels.insert(0, grouped_convolution(x, output[0], 1) + output[1])
    return levels

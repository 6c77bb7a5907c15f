"""Slow, obvious versions of the image transforms."""

import math

import numpy as np


def resize_bilinear(image, height, width):
    """`interpolate` rounded to uint8."""
    return np.round(interpolate(image, height, width)).astype(np.uint8)


def interpolate(image, height, width):
    """Plain bilinear resize with pixel centres at half-integers, no low-pass filter, float64."""
    source = image.astype(np.float64)
    result = np.zeros((height, width, image.shape[2]))
    for row in range(height):
        for column in range(width):
            y = min(max((row + 0.5) * image.shape[0] / height - 0.5, 0), image.shape[0] - 1)
            x = min(max((column + 0.5) * image.shape[1] / width - 0.5, 0), image.shape[1] - 1)
            y0, x0 = int(math.floor(y)), int(math.floor(x))
            y1, x1 = min(y0 + 1, image.shape[0] - 1), min(x0 + 1, image.shape[1] - 1)
            top = source[y0, x0] * (1 - (x - x0)) + source[y0, x1] * (x - x0)
            bottom = source[y1, x0] * (1 - (x - x0)) + source[y1, x1] * (x - x0)
            result[row, column] = top * (1 - (y - y0)) + bottom * (y - y0)
    return result


def change_colours(image, brightness, contrast, saturation, hue):
    """Saturation, then hue, then contrast around the mean colour, then brightness; each -1 to 1, as
    `photometric` names them."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    mean = pixels.mean(axis=0)
    result = []
    for pixel in pixels - mean:
        grey = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
        pixel = grey + (1 + 0.5 * saturation) * (pixel - grey)
        axis, angle = np.ones(3) / math.sqrt(3), math.radians(18) * hue
        pixel = (
            pixel * math.cos(angle)
            + np.cross(axis, pixel) * math.sin(angle)
            + axis * axis.dot(pixel) * (1 - math.cos(angle))
        )
        result.append((1 + 0.5 * contrast) * pixel + mean + 64 * brightness)
    return np.clip(np.round(result), 0, 255).reshape(image.shape)


def zoom_boxes(boxes, share, offset, height, width):
    """For each box: (box after the zoom, clipped; whether its centre is inside; whether a pixel of
    it is seen)."""
    results = []
    for ymin, xmin, ymax, xmax in boxes:
        ymin, ymax = ((value - offset[0]) / share for value in (ymin, ymax))
        xmin, xmax = ((value - offset[1]) / share for value in (xmin, xmax))
        centred = 0 <= (ymin + ymax) / 2 < height and 0 <= (xmin + xmax) / 2 < width
        clipped = (
            min(max(ymin, 0), height),
            min(max(xmin, 0), width),
            min(max(ymax, 0), height),
            min(max(xmax, 0), width),
        )
        results.append(
            (clipped, centred, clipped[2] - clipped[0] >= 1 and clipped[3] - clipped[1] >= 1)
        )
    return results

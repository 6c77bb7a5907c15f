"""Depthwise convolution whose kernel learns quickly on a CPU, too."""

import tensorflow as tf

from lhrcnn.distribution import on_gpu

# Side of the largest kernel that oneDNN has a fast gradient for: in 16 bits the gradient of one of
# 5 x 5 takes ten times as long as those of the four pieces of 3 x 3 that cover it.
PIECE = 3


def depthwise_convolution(x, kernel, stride=1, padding="SAME", dilation=1):
    """Depthwise convolution [B, h', w', C] of x [B, h, w, C] with kernel [k, k, C, 1]; `padding`
    is SAME or VALID."""
    strides, size = [1, stride, stride, 1], kernel.shape[0]
    if size <= PIECE or dilation > 1 or (padding == "SAME" and stride > 1) or on_gpu():
        return tf.nn.depthwise_conv2d(x, kernel, strides, padding, dilations=[dilation] * 2)

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradient(upstream):
            around = [(size - 1) // 2, size // 2] if padding == "SAME" else [0, 0]
            padded = tf.pad(x, [[0, 0], around, around, [0, 0]])
            return (
                tf.nn.depthwise_conv2d_backprop_input(
                    tf.shape(x), kernel, upstream, strides, padding
                ),
                _kernel_gradient(padded, size, upstream, strides),
            )

        return tf.nn.depthwise_conv2d(x, kernel, strides, padding), gradient

    return convolve(x, kernel)


def _kernel_gradient(x, size, upstream, strides):
    """The gradient [size, size, C, 1] of a kernel that was moved over x without padding."""
    height, width = (tf.shape(upstream)[axis] * strides[1] - strides[1] + PIECE for axis in (1, 2))
    starts = [*range(0, size - PIECE, PIECE), size - PIECE]

    def piece(top, left):
        return tf.nn.depthwise_conv2d_backprop_filter(
            x[:, top : top + height, left : left + width],
            [PIECE, PIECE, x.shape[-1], 1],
            upstream,
            strides,
            "VALID",
        )

    def joined(pieces, axis):
        """The pieces that begin at `starts` along an axis, the last without what overlaps."""
        *most, last = pieces
        overlap = PIECE * len(most) - starts[-1]
        return tf.concat([*most, tf.split(last, [overlap, PIECE - overlap], axis)[1]], axis)

    return joined([joined([piece(top, left) for left in starts], 1) for top in starts], 0)

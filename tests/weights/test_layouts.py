"""Array layouts, each against what the layer computes with it."""

import numpy as np
import pytest

from lhrcnn.weights import layouts


def test_torch_kernels(rng):
    kernel = rng.normal(size=[5, 2, 3, 4])
    assert layouts.from_torch(kernel)[1, 2, 0, 4] == kernel[4, 0, 1, 2] and layouts.from_torch(
        kernel
    ).shape == (3, 4, 2, 5)
    np.testing.assert_array_equal(layouts.from_torch(kernel[:, :, 0, 0]), kernel[:, :, 0, 0].T)
    np.testing.assert_array_equal(layouts.from_torch(kernel[:, 0, 0, 0]), kernel[:, 0, 0, 0])


def test_dense_layer_after_channels_first_features(rng):
    features, kernel = rng.normal(size=[2, 3, 3]), rng.normal(size=[2 * 3 * 3, 5])  # C, H, W
    ours = features.transpose(1, 2, 0).ravel() @ layouts.from_channels_first(3)(kernel)
    np.testing.assert_allclose(ours, features.ravel() @ kernel)
    bias = rng.normal(size=5)
    assert layouts.from_channels_first(3)(bias) is bias


def test_position_sensitive_outputs_become_bin_major():
    channel_major = np.array(
        [
            [
                100 * channel + 10 * row + column
                for channel in range(3)
                for row in range(2)
                for column in range(2)
            ]
        ]
    )
    assert layouts.bin_major(2)(channel_major)[0].tolist() == [
        0,
        100,
        200,
        1,
        101,
        201,
        10,
        110,
        210,
        11,
        111,
        211,
    ]


def test_deltas_of_every_class_and_anchor_swap_x_and_y():
    deltas = np.array(["dx0", "dy0", "dw0", "dh0", "dx1", "dy1", "dw1", "dh1"])
    expected = ["dy0", "dx0", "dh0", "dw0", "dy1", "dx1", "dh1", "dw1"]
    assert (
        layouts.yx_deltas(deltas).tolist() == expected
        and layouts.yx_deltas(np.tile(deltas, (3, 1)))[2].tolist() == expected
    )


def test_anchors_of_a_scale_in_a_row_become_those_of_a_ratio():
    outputs = np.array([f"{s}{r}{n}" for s in "abc" for r in "xy" for n in "01"])
    assert " ".join(layouts.ratio_major(3, 2)(outputs)) == (
        "ax0 ax1 bx0 bx1 cx0 cx1 ay0 ay1 by0 by1 cy0 cy1"
    )
    kernel = np.arange(5 * 6).reshape(5, 6)
    np.testing.assert_array_equal(layouts.ratio_major(3, 2)(kernel), kernel[:, [0, 2, 4, 1, 3, 5]])


def test_background_moves_or_goes():
    assert layouts.background_last(np.array(["background", "a", "b"])).tolist() == [
        "a",
        "b",
        "background",
    ]
    assert layouts.without_background(np.arange(12)).tolist() == list(range(4, 12))
    assert layouts.without_background(np.arange(4)).tolist() == [0, 1, 2, 3], (
        "one box for all classes"
    )


def test_sigmoid_of_one_logit_is_the_softmax_of_two(rng):
    pairs = rng.normal(size=6)
    logits = layouts.foreground_logit(pairs)
    softmax = np.exp(pairs[1::2]) / (np.exp(pairs[1::2]) + np.exp(pairs[0::2]))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), softmax)


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 1e-3])
def test_batch_norm_of_another_epsilon(rng, epsilon):
    gamma, variance = rng.normal(size=4), np.array([1e-7, 1e-5, 1e-3, 2.0])
    new_gamma, new_variance = layouts.match_epsilon(gamma, variance, epsilon)
    np.testing.assert_allclose(
        new_gamma / np.sqrt(new_variance + 1e-5), gamma / np.sqrt(variance + epsilon), rtol=1e-5
    )
    assert (new_variance > 0).all()


def test_first_convolution_for_another_normalisation(rng):
    window, kernel = rng.uniform(0, 255, [3, 3, 3]), rng.normal(size=[3, 3, 3, 2])
    mean, std, new_mean, new_std = [120, 110, 100], [1, 1, 1], [127.5, 128, 129], [50, 60, 70]
    renormalised, shift = layouts.renormalise(kernel, mean, std, new_mean, new_std)
    expected = np.einsum("hwi,hwio->o", (window - mean) / std, kernel)
    np.testing.assert_allclose(
        np.einsum("hwi,hwio->o", (window - new_mean) / new_std, renormalised) + shift,
        expected,
        rtol=1e-5,
    )

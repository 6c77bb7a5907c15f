"""lhrcnn.models.anchors against loops, and its agreement with the layout of a convolution's
output.
"""

import numpy as np
import tensorflow as tf
from reference import detection as reference

from lhrcnn.models import anchors


def test_grid_equals_the_reference_on_a_map_that_is_not_square():
    cell = anchors.cell_anchors([32, 64, 128], [0.5, 1, 2])
    grid = anchors.grid_anchors(3, 5, 16, cell, center_offset=0.5)
    np.testing.assert_allclose(
        grid, reference.anchors(3, 5, 16, [32, 64, 128], [0.5, 1, 2], 0.5), atol=1e-4
    )


def test_ratio_is_height_over_width_and_scale_the_root_of_the_area():
    ((ymin, xmin, ymax, xmax),) = anchors.cell_anchors([64], [2.0])
    np.testing.assert_allclose((ymax - ymin) / (xmax - xmin), 2, rtol=1e-6)
    np.testing.assert_allclose((ymax - ymin) * (xmax - xmin), 64**2, rtol=1e-6)


def test_the_papers_count_of_22500_anchors_at_800_by_800():
    assert (
        len(anchors.grid_anchors(50, 50, 16, anchors.cell_anchors([128, 256, 512], [0.5, 1, 2])))
        == 22500
    )


def test_anchor_order_is_that_of_a_reshaped_convolution_output():
    """A map that holds its own (row, column, anchor) must, reshaped as the RPN does, line up with
    the anchors."""
    cell = anchors.cell_anchors([16, 32], [1.0])
    rows, columns, kinds = tf.meshgrid(tf.range(2), tf.range(4), tf.range(2), indexing="ij")
    grid = anchors.grid_anchors(2, 4, 8, cell).numpy()
    center_y, center_x = (grid[:, 0] + grid[:, 2]) / 2, (grid[:, 1] + grid[:, 3]) / 2
    np.testing.assert_allclose(center_y, (tf.reshape(rows, [-1]).numpy() + 0.5) * 8)
    np.testing.assert_allclose(center_x, (tf.reshape(columns, [-1]).numpy() + 0.5) * 8)
    np.testing.assert_allclose(
        grid[:, 2] - grid[:, 0], np.array([16, 32])[tf.reshape(kinds, [-1]).numpy()]
    )


def test_center_offset_zero_puts_the_first_anchor_on_the_corner():
    grid = anchors.grid_anchors(1, 1, 16, anchors.cell_anchors([32], [1.0]), center_offset=0.0)
    np.testing.assert_allclose(grid, [[-16, -16, 16, 16]])


def test_rounding_of_py_faster_rcnn_gives_its_well_known_anchors():
    """Its generator prints inclusive boxes around (7.5, 7.5), such as [-84, -40, 99, 55] for ratio
    0.5 and scale 8."""
    cell = anchors.cell_anchors([128, 256, 512], [0.5, 1, 2], "py_faster_rcnn") + 8 - [0, 0, 1, 1]
    np.testing.assert_array_equal(
        cell[:, [1, 0, 3, 2]],
        [
            [-84, -40, 99, 55],
            [-176, -88, 191, 103],
            [-360, -184, 375, 199],
            [-56, -56, 71, 71],
            [-120, -120, 135, 135],
            [-248, -248, 263, 263],
            [-36, -80, 51, 95],
            [-80, -168, 95, 183],
            [-168, -344, 183, 359],
        ],
    )


def test_rounding_of_torchvision_is_of_the_coordinates():
    np.testing.assert_array_equal(
        anchors.cell_anchors([32], [0.5, 1, 2], "torchvision"),
        [[-11, -23, 11, 23], [-16, -16, 16, 16], [-23, -11, 23, 11]],
    )


def test_cells_may_be_farther_apart_down_than_across():
    grid = anchors.grid_anchors(2, 3, (20, 10), anchors.cell_anchors([32], [1.0]), 0.0).numpy()
    np.testing.assert_allclose(
        (grid[:, :2] + grid[:, 2:]) / 2, [[y, x] for y in (0, 20) for x in (0, 10, 20)]
    )

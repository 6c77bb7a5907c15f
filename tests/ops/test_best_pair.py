"""The search over pairs of cells, compiled and of TensorFlow ops, against all pairs one by one."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.ops.best_pair import best_pair

ROWS = [(True, False), (False, True), (True, True)]


def pairs_one_by_one(terms, inside, borders):
    """[M, M] sums, or products of probabilities, of one box by first and last cell; -inf where
    first >= last."""
    cells = terms.shape[1]
    values = np.full([cells, cells], -np.inf, np.float32)
    probabilities = 1 / (1 + np.exp(-terms))
    for a in range(cells):
        for b in range(a + 1, cells):
            if inside:
                values[a, b] = terms[0, a : b + 1].sum() + (
                    terms[-2, a] + terms[-1, b] if borders else 0
                )
            else:
                values[a, b] = probabilities[0, a] * probabilities[1, b]
    return values


@pytest.mark.parametrize("inside, borders", ROWS)
@pytest.mark.parametrize("cells", [2, 3, 28])
def test_equals_all_pairs_one_by_one(implementation, rng, inside, borders, cells):
    largest, limit = (40, 30.0) if inside else (6, 4.0)
    terms = rng.integers(-largest, largest, (300, inside + 2 * borders, cells)).astype(
        np.float32
    )  # whole: sums are exact, some equal
    pairs = (
        best_pair(
            tf.constant(terms), limit, inside=inside, borders=borders, implementation=implementation
        )
        .numpy()
        .astype(int)
    )
    for term, (first, last) in zip(np.clip(terms, -limit, limit), pairs):
        values = pairs_one_by_one(term, inside, borders)
        assert values[first, last] == values.max()
        assert last == np.argmax(values.max(0) == values.max())


@pytest.mark.parametrize("inside, borders", ROWS)
def test_implementations_give_the_same(rng, inside, borders):
    terms = tf.constant(rng.normal(0, 5, (500, inside + 2 * borders, 28)), tf.float32)
    ours, twins = (
        best_pair(terms, 9.0, inside=inside, borders=borders, implementation=name)
        for name in ("auto", "tf")
    )
    np.testing.assert_array_equal(ours, twins)


@pytest.mark.parametrize("inside, borders", ROWS)
def test_values_that_are_not_finite(implementation, inside, borders):
    rows = inside + 2 * borders
    terms = tf.stack(
        [tf.fill([rows, 5], value) for value in (float("nan"), float("inf"), float("-inf"))]
    )
    pairs = best_pair(
        terms, 9.0, inside=inside, borders=borders, implementation=implementation
    ).numpy()
    assert np.isnan(pairs[0]).all()
    assert (
        (pairs[1:, 0] >= 0).all()
        and (pairs[1:, 0] < pairs[1:, 1]).all()
        and (pairs[1:, 1] < 5).all()
    )


def test_no_boxes(implementation):
    pairs = best_pair(
        tf.zeros([0, 3, 28]), 9.0, inside=True, borders=True, implementation=implementation
    )
    assert pairs.shape == (0, 2)


def test_wrong_rows_are_an_error():
    from lhrcnn.ops.compiled import custom_op_available

    if not custom_op_available():
        pytest.skip("the compiled op cannot be had")
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"terms must be \[n, 3, 2 to 16777216 cells\]"
    ):
        best_pair(tf.zeros([4, 2, 28]), 9.0, inside=True, borders=True, implementation="custom")

"""The search over pairs of cells, compiled and of TensorFlow ops, against all pairs one by one."""
import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.ops.best_pair import best_pair

ROWS = [(True, False), (False, True), (True, True)]


def sums_of_pairs(terms, inside, borders):
    """[M, M] sums of one box by first and last cell; -inf where first >= last."""
    cells = terms.shape[1]
    sums = np.full([cells, cells], -np.inf)
    for a in range(cells):
        for b in range(a + 1, cells):
            sums[a, b] = (terms[0, a:b + 1].sum() if inside else 0) + (terms[-2, a] + terms[-1, b] if borders else 0)
    return sums


@pytest.mark.parametrize("inside, borders", ROWS)
@pytest.mark.parametrize("cells", [2, 3, 28])
def test_equals_all_pairs_one_by_one(implementation, rng, inside, borders, cells):
    terms = rng.integers(-40, 40, (300, inside + 2 * borders, cells)).astype(np.float32)  # whole numbers: sums are exact, and some equal
    pairs, score = best_pair(tf.constant(terms), 30.0, inside=inside, borders=borders, implementation=implementation)
    for term, (first, last), best in zip(np.clip(terms, -30, 30), pairs.numpy(), score.numpy()):
        sums = sums_of_pairs(term, inside, borders)
        assert best == sums.max() == sums[first, last]
        assert last == np.argmax(sums.max(0) == best)


def test_implementations_give_the_same_bits(rng):
    terms = tf.constant(rng.normal(0, 5, (500, 3, 28)), tf.float32)
    results = [best_pair(terms, 9.0, inside=True, borders=True, implementation=name) for name in ("auto", "tf")]
    for ours, twin in zip(*results):
        np.testing.assert_array_equal(ours, twin)


@pytest.mark.parametrize("inside, borders", ROWS)
def test_values_that_are_not_finite(implementation, inside, borders):
    rows = inside + 2 * borders
    terms = tf.stack([tf.fill([rows, 5], value) for value in (float("nan"), float("inf"), float("-inf"))])
    pairs, score = best_pair(terms, 9.0, inside=inside, borders=borders, implementation=implementation)
    assert score[0] == -np.inf
    assert (pairs[:, 0] < pairs[:, 1]).numpy().all() and (pairs >= 0).numpy().all() and (pairs < 5).numpy().all()


def test_no_boxes(implementation):
    pairs, score = best_pair(tf.zeros([0, 3, 28]), 9.0, inside=True, borders=True, implementation=implementation)
    assert pairs.shape == (0, 2) and score.shape == (0,)


def test_wrong_rows_are_an_error():
    from lhrcnn.ops.library import custom_op_available
    if not custom_op_available():
        pytest.skip("the compiled op cannot be had")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"terms must be \[n, 3, at least 2 cells\]"):
        best_pair(tf.zeros([4, 2, 28]), 9.0, inside=True, borders=True, implementation="custom")

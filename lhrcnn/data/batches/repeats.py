"""How often an epoch shows each image where some classes are rare.

Shape letters: N records, T images of an epoch.
"""

import numpy as np


def repeat_factors(records, threshold):
    """How often an epoch shows each of N records on average, float64 [N], at least 1.

    A class seen in a share f of the images asks for sqrt(threshold / f), and an image has what the
    most demanding of its classes asks for (LVIS, arXiv 1908.03195, section 4.2). Ignored objects
    ask for nothing. The factors' sum is a whole number: they are a little larger for that."""
    seen = [np.unique(record.classes[~record.ignore]) for record in records]
    _, index, counts = np.unique(np.concatenate(seen), return_inverse=True, return_counts=True)
    asked = np.sqrt(threshold * len(records) / counts)[index]
    ends = np.cumsum([len(classes) for classes in seen])
    factors = [own.max(initial=1.0) for own in np.split(asked, ends[:-1])]
    return np.array(factors) * np.ceil(np.sum(factors)) / np.sum(factors)


def repeated(factors, offset):
    """Records of an epoch, int64 [T], each as often as its factor rounded up or down.

    T is the factors' sum. With `offset` drawn from [0, 1) the mean is the factor (systematic
    sampling)."""
    ends = np.floor(np.round(np.cumsum(factors), 9) + offset)
    return np.repeat(np.arange(len(factors)), np.diff(ends, prepend=0).astype(np.int64))

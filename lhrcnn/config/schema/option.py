"""What an option is: a dataclass field with its meaning and what it allows."""

import dataclasses
import functools
import operator

from lhrcnn.choices import resolve

PRECISIONS = ["float32", "mixed_float16", "mixed_bfloat16"]
SOME = range(1, 10**6)  # items of a list that must not be empty
LIMITS = {  # kind: (in words, whether a number keeps to it)
    "minimum": ("from {}", operator.ge),
    "above": ("above {}", operator.gt),
    "maximum": ("to {}", operator.le),
    "below": ("to below {}", operator.lt),
}


def option(
    default, meaning, choices=None, minimum=None, above=None, maximum=None, below=None, lengths=None
):
    """A dataclass field with its one-line meaning, and what values are allowed.

    choices: a list, or "module:DICT" for the names in a dict that stands beside what it names.
    Limits are those of a number, or of each one in a list; lengths: how many items a list may have,
    such as SOME or [0, 3]."""
    given = {"minimum": minimum, "above": above, "maximum": maximum, "below": below}
    limits = {kind: limit for kind, limit in given.items() if limit is not None}
    metadata = {"meaning": meaning, "choices": choices, "limits": limits, "lengths": lengths}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


# An option that is a part of 1.
share = functools.partial(option, minimum=0, maximum=1)


def allowed(field):
    """The values that a field allows by name; None where it is not a choice.

    An empty text is allowed beside them where it is the default."""
    choices = field.metadata["choices"]
    return None if choices is None else [str(choice) for choice in resolve(choices)]


def within(field, number):
    """Whether a number keeps to the limits of a field."""
    limits = field.metadata["limits"]
    return all(LIMITS[kind][1](number, limit) for kind, limit in limits.items())


def allowance(field, mark=""):
    """What a field allows in words, such as "at least one: above 0 to 1"; "" for anything.

    mark: stands on both sides of the values that it allows by name."""
    limits = [LIMITS[kind][0].format(limit) for kind, limit in field.metadata["limits"].items()]
    names = [f"{mark}{name}{mark}" for name in allowed(field) or ()]
    each, lengths = ", ".join(names) or " ".join(limits), field.metadata["lengths"]
    if lengths is None:
        return each
    number = "at least one" if lengths is SOME else f"{' or '.join(map(str, lengths))} numbers"
    return f"{number}: {each}" if each else number

"""What an option is: a dataclass field with its meaning and what it allows."""

import dataclasses

from lhrcnn.choices import resolve

PRECISIONS = ["float32", "mixed_float16", "mixed_bfloat16"]


def option(default, meaning, choices=None, minimum=None, maximum=None):
    """A dataclass field with its one-line meaning, and what values are allowed.

    choices: a list, or "module:DICT" for the names in a dict that stands beside what it names."""
    metadata = {"meaning": meaning, "choices": choices, "minimum": minimum, "maximum": maximum}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def allowed(field):
    """The values that a field allows by name; None where it is not a choice.

    An empty text is allowed beside them where it is the default."""
    choices = field.metadata["choices"]
    return None if choices is None else [str(choice) for choice in resolve(choices)]

"""Names of variables: chosen by the parts, the same in every process; and what they were once.

A name is the way through the layers that hold the variable, and what it is there:
rpn/conv/kernel, head/thin_map/tall_in/bias. The scopes in which Keras builds a layer do not matter.
"""

import re

from lhrcnn.errors import ConfigError

# Checkpoints without a format number, and older weights files, have the names on the left.
OLDER = (
    (r"thin_map\b", "head/thin_map"),
    (r"head/light_head\b", "head"),
    (r"head/fc_head\b", "head"),
    (r"head/stage5_head\b", "head"),
    (r"head/box_targets\b", "head/targets"),
    (r"c5_", "head/stage5/c5_"),
    (r"(score_conv|class_map|box_map)\b", r"head/\1"),
    (r"locnet/locnet_(rows|columns)\b", r"head/locnet/\1"),
    (r"locnet\b", "head/locnet"),
)


def present(name):
    """The present name of a variable, or the present beginning of names, of what was `name`."""
    for pattern, replacement in OLDER:
        match = re.match(pattern, name)
        if match:
            return match.expand(replacement) + name[match.end() :]
    return name


def variables_of(layer, prefix):
    """{name: variable} of a Keras layer and all that it holds; the names begin with `prefix`.

    A layer with a method `variables_under(prefix)` says them itself; layers that another lists in
    `inlined` add no name of theirs. Raises ConfigError where two variables share a name, or a layer
    inside has the name that Keras gave it by counting."""
    if hasattr(layer, "variables_under"):
        return layer.variables_under(prefix)
    inside = [inner for inner in layer._flatten_layers(False, False) if inner.weights]
    inlined = {id(inner) for inner in getattr(layer, "inlined", ())}
    for inner in inside:
        if id(inner) not in inlined and re.fullmatch(
            rf"{_snake_case(type(inner).__name__)}(_\d+)?", inner.name
        ):
            raise ConfigError(
                f"{prefix}: a layer {type(inner).__name__} has no name of its own, which names of "
                "variables are made of; give it one: name=..."
            )
    prefixes = [prefix if id(inner) in inlined else f"{prefix}/{inner.name}" for inner in inside]
    known = joined(*(variables_of(*pair) for pair in zip(inside, prefixes)))
    held = {variable.ref() for variable in known.values()}
    own = [variable for variable in layer.weights if variable.ref() not in held]
    roles = (variable.name.split(":")[0].split("/")[-1] for variable in own)  # kernel, bias, ...
    return joined(known, *({f"{prefix}/{role}": v} for role, v in zip(roles, own)))


def joined(*parts):
    """One dict {name: variable} of several. Raises ConfigError if two variables share a name."""
    names = {}
    for part in parts:
        for name, variable in part.items():
            if names.setdefault(name, variable) is not variable:
                raise ConfigError(
                    f"two variables are named {name}: give their layers different names"
                )
    return names


def _snake_case(name):
    """Keras's: Conv2D -> conv2d, BatchNormalization -> batch_normalization."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()

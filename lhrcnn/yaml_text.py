"""YAML text of others."""

import math

_DIGITS = 40  # of an integer: Python refuses to show one of thousands
_DEPTH = 100  # of lists and mappings within each other; PyYAML's time grows by its square
_VALUES = 10**6  # of a text in all: aliases of aliases make billions of ten lines


def parse(text, unique=False):
    """What YAML text says.

    Raises ValueError, with the line where it is known, for other text, for values that are not of
    their tag or of no calendar, for more digits, values or depth than can be meant, and where
    `unique` for a key that stands twice, of which PyYAML takes the last."""
    import yaml  # takes longer than `lhrcnn --help`

    try:
        loader = yaml.SafeLoader(text)
        _limit_depth(loader)
        root = loader.get_single_node()
        if root is None:
            return None
        if _size(root, {}, unique) > _VALUES:
            raise ValueError(f"it holds itself, or more than {_VALUES} values by its aliases")
        return loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        raise ValueError(f"{_line(error.problem_mark)}{error.problem}") from None
    except (KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"a value is not what its tag says: {error}") from None
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(str(error)) from None


def _limit_depth(loader):
    """Has a PyYAML loader raise ValueError below _DEPTH."""
    compose, depth = loader.compose_node, 0

    def compose_node(parent, index):
        nonlocal depth
        if depth == _DEPTH:
            mark = loader.peek_event().start_mark
            raise ValueError(f"{_line(mark)}nested deeper than {_DEPTH} levels")
        depth += 1
        node = compose(parent, index)
        depth -= 1
        return node

    loader.compose_node = compose_node


def _line(mark):
    return f"line {mark.line + 1}: " if mark else ""


def _size(node, known, unique):
    """How many values a node holds, aliases written out; `known` has those of nodes seen."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)], children = math.inf, []  # of one that holds itself
    if isinstance(node.value, str):
        node.value.encode()  # raises ValueError for halves of pairs of UTF-16
        if node.tag.endswith(":int") and len(node.value) > _DIGITS:
            raise ValueError(f"{_line(node.start_mark)}a number of {len(node.value)} digits")
    elif node.id == "sequence":
        children = node.value
    else:
        seen = set()
        for key, _ in node.value if unique else ():
            if key.value in seen:
                line = _line(key.start_mark)
                raise ValueError(f"{line}'{key.value}' stands twice; keep one of them")
            seen.add(key.value)
        children = [child for pair in node.value for child in pair]
    known[id(node)] = 1 + sum(_size(child, known, unique) for child in children)
    return known[id(node)]

"""A reader of one's own: VisDrone-DET's annotations, one file, which a config names.

    plugins: [examples/reader.py]
    data: {format: visdrone, dir: VisDrone, train_split: train, val_split: val}

A split is a folder with images/ and annotations/; a line of annotations/NAME.txt is
`left,top,width,height,score,category,truncation,occlusion`, in px (Zhu et al., arXiv 2001.06303).
What a reader owes to the rest is written in lhrcnn/data/readers/__init__.py.
"""

from lhrcnn.data.readers import READERS, gathering, lookup, parsing
from lhrcnn.data.readers.records import LabelledImage
from lhrcnn.data.schema import Problem

CLASSES = (
    "pedestrian people bicycle car van truck tricycle awning-tricycle bus motor others".split()
)
REGION = "ignored region"  # category 0, and whatever has score 0, is neither learnt nor counted


def read(data_config, split, training=False):
    """The `Dataset` of a split of VisDrone-DET. Raises DataError."""
    return gathering.gather(data_config, split, KIND, parse, class_names=CLASSES, ignored=REGION)


def is_annotations(file):
    """Whether a text file lies where VisDrone has its annotations."""
    return file.parent.name == "annotations"


KIND = gathering.Kind(is_annotations, (".txt",), many=False)  # a file is of one image


def parse(file, problems):
    """Yields what a file says of its image; a line that cannot be meant goes to problems."""
    boxes = []
    for number, line in enumerate(lookup.read_text(file).splitlines(), start=1):
        try:
            values = parsing.numbers(line.rstrip(",").split(","))
            left, top, width, height, score, category = values[:6]
            name = [REGION, *CLASSES][int(category)]
        except (ValueError, IndexError) as error:
            text = f"{file}: line {number}: {error}; left out"
            problems.append(Problem.error("bad line", text))
            continue
        box = (top, left, top + height, left + width)
        boxes.append(parsing.named(name, box, ignore=not score or name == REGION))
    yield LabelledImage((file.stem,), file, str(file), boxes=boxes)


READERS["visdrone"] = read

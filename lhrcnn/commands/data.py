"""`lhrcnn data check`, `stats` and `browse`."""

import collections
import json
import math

from lhrcnn import commands
from lhrcnn.errors import UsageError

IMAGES_A_SHEET, COLUMNS = 24, 6
PAGE = "stats.png"


JSON = commands.switch("json", False, "print one JSON object instead")


def check(values):
    """Lists the problems of the splits by kind; status 1 if one of them is an error."""
    data = commands.load_config(values).data
    splits = _splits(values, data)

    from lhrcnn.data.datasets import summary
    from lhrcnn.data.tools.check import find_problems

    problems = find_problems(data, splits, values.deep)
    counts = collections.Counter(problem.severity for problem in problems)
    if values.json:
        found = [problem._asdict() for problem in problems]
        print(json.dumps({"data": data.dir, "splits": splits, "counts": counts, "problems": found}))
        return 1 if counts["error"] else 0
    for line in summary(problems, num_examples=3):
        print(line)
    total = ", ".join(
        f"{counts[kind] or 'no'} {kind}{'' if counts[kind] == 1 else 's'}"
        for kind in ("error", "warning", "note")
    )
    print(f"{data.dir}: {total} in {', '.join(splits)}")
    return 1 if counts["error"] else 0


def _splits(values, data):
    """Those of --split, else those of the options, and `test` where data.format=auto finds it."""
    from lhrcnn.data.readers import auto

    named = values.split or [data.train_split, data.val_split, data.test_split]
    if data.format == "auto" and not values.split and auto.has_test(data.dir):
        named.append("test")
    return list(dict.fromkeys(filter(None, named)))


def stats(values):
    """Prints numbers of the splits, and draws them on a PNG page."""
    data, output = commands.load_config(values).data, commands.output_of(values, values.output)
    output.check(PAGE)
    splits = _splits(values, data)

    from lhrcnn.data.datasets import read_dataset, restrict_classes
    from lhrcnn.data.tools.stats import lines, statistics
    from lhrcnn.data.tools.stats_page import draw

    datasets = {
        split: restrict_classes(read_dataset(data, split), data.classes) for split in splits
    }
    found = {"data": data.dir, **statistics(datasets)}
    with output.writing(PAGE) as file:
        draw(datasets, data.dir, file)
    if values.json:
        print(json.dumps({**found, "page": str(output.folder / PAGE)}))
        return
    print("\n".join(lines(found)))
    print(output.folder / PAGE)


def browse(values):
    """Writes contact sheets of a split's images with their boxes."""
    experiment = commands.load_config(values)
    split = values.split or experiment.data.train_split
    output = commands.output_of(values, values.output)
    output.check(*(_sheet(number) for number in range(-(-values.num // IMAGES_A_SHEET))))

    from lhrcnn.data.datasets import open_dataset
    from lhrcnn.inference.visualize import contact_sheet

    dataset = open_dataset(experiment.data, split, training=values.augmented)
    shown = (
        _augmented(dataset, experiment, values) if values.augmented else _stored(dataset, values)
    )
    shown = list(shown)
    if not shown:
        raise UsageError(
            f"--first={values.first}: {dataset.name} has {len(dataset.records)} images"
        )
    for start in range(0, len(shown), IMAGES_A_SHEET):
        images, captions = zip(*shown[start : start + IMAGES_A_SHEET])
        name = _sheet(start // IMAGES_A_SHEET)
        with output.writing(name) as file:
            contact_sheet(list(images), COLUMNS, list(captions)).save(file, "PNG")
        print(output.folder / name)
    print(
        f"{dataset.name}: {len(shown)} of {len(dataset.records)} images, "
        f"classes: {', '.join(dataset.class_names)}"
    )


def _sheet(number):
    return f"sheet_{number + 1:03d}.png"


def _stored(dataset, values):
    """(image with boxes, caption) as the files are."""
    from lhrcnn.data.decoding import read_image

    for record in dataset.records[values.first : values.first + values.num]:
        image = read_image(record.path)
        yield _drawn(image, record.boxes, record.classes, record.ignore, dataset), record.path


def _augmented(dataset, experiment, values):
    """(image with boxes, caption) as training steps from --first on see them."""
    from lhrcnn.data.batches.pipeline import training_batches
    from lhrcnn.data.batches.plan import BatchPlan

    plan = BatchPlan(dataset, experiment.data, experiment.train.batch_size, experiment.train.seed)
    paths = {record.image_id: record.path for record in dataset.records}
    first, left = values.first, values.num
    steps = math.ceil(left / plan.batch_size)
    batches = training_batches(plan, experiment.data, first, first + steps)
    for step, batch in enumerate(batches, first):
        batch = {name: value.numpy() for name, value in batch.items()}
        for slot in range(min(left, plan.batch_size)):
            one = {name: value[slot] for name, value in batch.items()}
            height, width = one["image_size"].astype(int)
            objects = [one[name][one["classes"] >= 0] for name in ("boxes", "classes", "ignore")]
            image = one["image"].astype("uint8")[:height, :width]
            caption = f"step {step}: {paths.get(int(one['image_id']), '')}"
            yield _drawn(image, *objects, dataset), caption
        left -= plan.batch_size


def _drawn(image, boxes, classes, ignore, dataset):
    from lhrcnn.inference.visualize import draw_detections

    labels = [
        dataset.class_names[k] + (" (ignored)" if ignored else "")
        for k, ignored in zip(classes, ignore)
    ]
    return draw_detections(image, boxes, labels, class_names=dataset.class_names)


CHECK = commands.Command(
    "list every problem of a data set; exit status 1 if there is one",
    (
        *commands.config_flags(),
        commands.splits_flag("images to check"),
        commands.switch("deep", False, "decode every image, too"),
        JSON,
    ),
    check,
)
STATS = commands.Command(
    "numbers of images, objects, sizes, classes, overlaps and duplicates, and a page of plots",
    (
        *commands.config_flags(),
        commands.splits_flag("images to describe"),
        *commands.output_flags("stats", "folder for the PNG page"),
        JSON,
    ),
    stats,
)
BROWSE = commands.Command(
    "draw images and their boxes on PNG sheets",
    (
        *commands.config_flags(),
        commands.split_flag("images to show", "train_split"),
        *commands.output_flags("browse", "folder for the PNG sheets"),
        commands.integer("num", 48, "how many images", lower_bound=1),
        commands.integer(
            "first",
            0,
            "number of the first image, or of the first training step with --augmented",
            lower_bound=0,
        ),
        commands.switch(
            "augmented", False, "show what a training step sees, after resize and augmentation"
        ),
    ),
    browse,
)

"""`lhrcnn data check`, `lhrcnn data browse` and `lhrcnn data make-shapes`."""
import pathlib

from absl import flags

from lhrcnn import commands

PICTURES_A_SHEET, COLUMNS = 24, 6


def define_check(values):
    """The flags of `lhrcnn data check`."""
    commands.define_config_flags(values)
    flags.DEFINE_multi_string("split", [], "split to check, may be repeated; none: the config's train_split, val_split and test_split",
                              flag_values=values)


def check(values, arguments):
    """Lists every problem of the splits; status 1 if there is one."""
    del arguments
    data = commands.load_config(values).data
    splits = list(dict.fromkeys(values.split or filter(None, [data.train_split, data.val_split, data.test_split])))

    from lhrcnn.data.check import find_problems
    problems = find_problems(data, splits)
    for problem in problems:
        print(problem)
    print(f"{data.dir}: {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'} in {', '.join(splits)}")
    return 1 if problems else 0


def define_browse(values):
    """The flags of `lhrcnn data browse`."""
    commands.define_config_flags(values)
    flags.DEFINE_string("split", "", "pictures to show, named as in the config; none: its train_split", flag_values=values)
    flags.DEFINE_string("output", "browse", "folder for the PNG sheets", flag_values=values)
    flags.DEFINE_integer("num", 48, "how many pictures", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("first", 0, "number of the first picture, or of the first training step with --augmented", lower_bound=0,
                         flag_values=values)
    flags.DEFINE_boolean("augmented", False, "show what a training step sees, after resize and augmentation", flag_values=values)


def browse(values, arguments):
    """Writes contact sheets of a split's pictures with their boxes."""
    del arguments
    experiment = commands.load_config(values)
    split, output = values.split or experiment.data.train_split, pathlib.Path(values.output)
    commands.check_writable(output)

    from lhrcnn.data import open_dataset
    from lhrcnn.inference.visualize import contact_sheet
    dataset = open_dataset(experiment.data, split, training=values.augmented)
    shown = list(_augmented(dataset, experiment, values) if values.augmented else _stored(dataset, values))
    if not shown:
        raise commands.UsageError(f"--first={values.first}: {dataset.name} has {len(dataset.records)} pictures")
    for start in range(0, len(shown), PICTURES_A_SHEET):
        pictures, captions = zip(*shown[start:start + PICTURES_A_SHEET])
        path = output / f"sheet_{start // PICTURES_A_SHEET + 1:03d}.png"
        contact_sheet(list(pictures), COLUMNS, list(captions)).save(path)
        print(path)
    print(f"{dataset.name}: {len(shown)} of {len(dataset.records)} pictures, classes: {', '.join(dataset.class_names)}")


def _stored(dataset, values):
    """(picture with boxes, caption) as the files are."""
    import tensorflow as tf
    from lhrcnn.data.image import decode_image
    for record in dataset.records[values.first:values.first + values.num]:
        picture = decode_image(tf.io.read_file(record.path)).numpy()
        yield _drawn(picture, record.boxes, record.classes, record.ignore, dataset), record.path


def _augmented(dataset, experiment, values):
    """(picture with boxes, caption) as training steps from --first on see them."""
    from lhrcnn.data.pipeline import BatchPlan, training_batches
    plan = BatchPlan(dataset, experiment.data, experiment.train.batch_size, experiment.train.seed)
    paths = {record.image_id: record.path for record in dataset.records}
    steps = -(-values.num // plan.batch_size)
    left = values.num
    for step, batch in enumerate(training_batches(plan, experiment.data, values.first, values.first + steps), start=values.first):
        batch = {name: value.numpy() for name, value in batch.items()}
        for slot in range(min(left, plan.batch_size)):
            height, width = batch["image_size"][slot].astype(int)
            real = batch["classes"][slot] >= 0
            boxes, classes, ignore = (batch[name][slot][real] for name in ("boxes", "classes", "ignore"))
            picture = batch["image"][slot].astype("uint8")[:height, :width]
            yield _drawn(picture, boxes, classes, ignore, dataset), f"step {step}: {paths.get(int(batch['image_id'][slot]), '')}"
        left -= plan.batch_size


def _drawn(picture, boxes, classes, ignore, dataset):
    from lhrcnn.inference.visualize import draw_detections
    labels = [dataset.class_names[k] + (" (ignored)" if ignored else "") for k, ignored in zip(classes, ignore)]
    return draw_detections(picture, boxes, labels, class_names=dataset.class_names)


def define_make_shapes(values):
    """The flags of `lhrcnn data make-shapes`."""
    flags.DEFINE_string("output", "datasets/shapes", "folder of the data set", flag_values=values)
    flags.DEFINE_integer("seed", 0, "pictures are the same for the same seed", lower_bound=0, flag_values=values)
    flags.DEFINE_integer("num_train", 400, "pictures of the split `train`", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("num_val", 100, "pictures of the split `val`", lower_bound=1, flag_values=values)


def make_shapes(values, arguments):
    """Draws the embedded data set."""
    del arguments
    from lhrcnn.data import shapes
    shapes.make_shapes(values.output, values.seed, values.num_train, values.num_val)
    print(f"{values.num_train} pictures for training, {values.num_val} for validation, classes: {', '.join(shapes.CLASSES)}\n"
          f"COCO data set  {values.output}")


CHECK = commands.Command("list every problem of a data set; exit status 1 if there is one", define_check, check)
BROWSE = commands.Command("draw pictures and their boxes on PNG sheets", define_browse, browse)
MAKE_SHAPES = commands.Command("draw the embedded data set of shapes", define_make_shapes, make_shapes)

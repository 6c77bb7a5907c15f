"""What users of other tools write, and what does it here; `lhrcnn` says so where it meets it."""

import pathlib
import re

from lhrcnn.config import Config, flat

# Commands of other tools: what to call here.
COMMANDS = {
    "detect": "predict",
    "infer": "predict",
    "inference": "predict",
    "test": "eval",
    "val": "eval",
    "validate": "eval",
    "evaluate": "eval",
    "fit": "train",
    "finetune": "train",
    "info": "env",
    "models": "zoo",
    "options": "config",
}

# (names of a flag elsewhere, commands of lhrcnn, none: all; what does it here)
FLAGS = [
    ("epochs max_epochs num_epochs", "train pretrain", "--set train.epochs={value}"),
    ("batch bs batch_size", "train pretrain", "--set train.batch_size={value}"),
    ("batch bs batch_size", "", "--set eval.batch_size={value}"),
    ("lr lr0 base_lr", "", "--set train.learning_rate={value}"),
    ("imgsz img img_size image_size", "train", "--set data.short_side=[{value}]"),
    ("imgsz img img_size image_size", "pretrain", "--set pretrain.crop_size={value}"),
    ("imgsz img img_size image_size", "benchmark export", "--size={value}x{value}"),
    ("imgsz img img_size image_size", "", "--set data.test_short_side={value}"),
    ("conf conf_thres score_thr confidence", "predict", "--score_threshold={value}"),
    ("conf conf_thres score_thr", "", "--set model.postprocess.score_threshold={value}"),
    ("iou iou_thres nms_thr", "", "--set model.postprocess.nms_iou={value}"),
    ("max_det", "", "--set model.postprocess.max_detections={value}"),
    (
        "weights model ckpt pretrained load_from",
        "train",
        "--init_from={value}, or of a backbone alone --set model.backbone.weights={value}",
    ),
    ("weights model ckpt", "", "--run_dir={value}"),
    ("data dataset data_root", "", "--data_dir={value}"),
    ("cfg config_file", "", "--config={value}"),
    ("project name work_dir save_dir output_dir", "train pretrain", "--run_dir={value}"),
    ("project name work_dir save_dir output_dir out", "", "--output={value}"),
    ("exist_ok force", "", "--overwrite"),
    ("source input image images", "predict", "{value}"),
    ("amp fp16 half", "train pretrain", "--set train.precision=mixed_float16"),
    ("amp fp16 half", "", "--set test.precision=mixed_float16"),
    ("augment tta", "", "--set test.flip=true"),
    ("cache", "", "--set data.cache_dir={value}"),
    ("num_workers", "", "--set data.workers={value}"),
]
GPUS = ("device", "devices", "gpu", "gpus", "cuda")  # no flag: of the environment
SUFFIXES = {
    ".zip": "unpack it first, and give the folder",
    ".tar": "unpack it first, and give the folder",
    ".gz": "unpack it first, and give the folder",
    ".json": "give the folder with --set data.format=coco --set data.train_split={path}",
}


def command(name):
    """A hint for an unknown command; "" without one."""
    return f"`lhrcnn {COMMANDS[name]}` does that" if name in COMMANDS else ""


def flag(command_name, name, value, known):
    """A hint for a flag that `command_name` does not have; "" without one. known: its flags."""
    if name in GPUS:
        return "set CUDA_VISIBLE_DEVICES in the environment; all GPUs that are seen are used"
    for names, commands, here in FLAGS:
        of_command = not commands or command_name in commands.split()
        if of_command and name in names.split() and _possible(here, known):
            return f"write {here.format(value=value or 'VALUE')}"
    options = [option for option in flat(Config()) if option.rpartition(".")[2] == name]
    if options and "set" in known:
        return "write " + " or ".join(f"--set {o}={value or 'VALUE'}" for o in options)
    return ""


def positional(command_name, word, known):
    """A hint for a word that `command_name` does not take; "" without one."""
    name, equals, value = word.partition("=")
    if equals and "." in name and "set" in known:
        return f"write --set before each option: --set {word}"
    if equals:
        return flag(command_name, name.lstrip("-"), value, known)
    if word.endswith((".yaml", ".yml")) and "config" in known:
        return f"write --config {word}"
    if pathlib.Path(word).is_dir():
        meant = "run_dir" if pathlib.Path(word, "config.yaml").is_file() else "data_dir"
        return f"write --{meant} {word}" if meant in known else ""
    return ""


def image(word):
    """A hint for what `lhrcnn predict` is to read but is no file; "" without one."""
    if re.match(r"[a-z]+://", word):
        return f"lhrcnn reads files; fetch it first, such as with `curl -O {word}`"
    return ""


def data_dir(path, formats):
    """A hint for a --data_dir that is no folder; "" without one. formats: of data.format."""
    suffix = pathlib.Path(path).suffix.lower()
    if not pathlib.Path(path).is_file() and suffix not in (*SUFFIXES, ".csv", ".yaml", ".xml"):
        return ""
    about = SUFFIXES.get(suffix, "give the folder it belongs to").format(path=path)
    return f"{about}; --set data.format=NAME says what lies there: {', '.join(formats)}"


def _possible(here, known):
    """Whether a command with the flags `known` takes what a hint says."""
    flags = re.findall(r"--(\w+)", here)
    return all(name in known for name in flags)

"""Keeps what a run measured: its config, a line of metrics per epoch, and its evaluations.

`python results/collect.py RUN_DIR NAME` writes results/NAME/config.yaml, metrics.jsonl and
eval/*.json; folders of this machine are left out.
"""

import dataclasses
import json
import pathlib
import sys

import yaml

from lhrcnn import config as configs
from lhrcnn.runs.directory import RUN_FILES, RunDirectory
from lhrcnn.runs.pack import portable

HERE = pathlib.Path(__file__).parent


def main(run_dir, name):
    """Copies a run directory in short."""
    run, output = RunDirectory(run_dir), HERE / name
    run.require(*RUN_FILES)
    config = run.config()
    kept = portable(config)
    output.mkdir(parents=True, exist_ok=True)
    changed = differences(dataclasses.asdict(kept), dataclasses.asdict(configs.Config()))
    (output / "config.yaml").write_text(
        yaml.safe_dump(changed, sort_keys=False, default_flow_style=None, width=140),
        encoding="utf-8",
    )
    lines = list(run.logged())
    for line in lines:
        if "init_from" in line:  # as the data set's folder, by its last name
            line["init_from"] = pathlib.Path(line["init_from"]).name
    (output / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in one_an_epoch(lines)), encoding="utf-8"
    )
    for file_name, metrics in run.evaluations().items():
        (output / "eval").mkdir(exist_ok=True)
        data = metrics["data"].replace(config.data.dir, kept.data.dir)
        content = json.dumps({**metrics, "run_dir": name, "data": data}, indent=1)
        (output / "eval" / file_name).write_text(content, encoding="utf-8")


def differences(values, defaults):
    """What a dict of options says that the defaults do not."""
    changed = {}
    for key, value in values.items():
        value = (
            differences(value, defaults[key])
            if isinstance(value, dict) and defaults.get(key)
            else value
        )
        if value != defaults[key] and value != {}:
            changed[key] = value
    return changed


def one_an_epoch(lines):
    """Starts and validations, and the last training line of each epoch, numbers to five digits."""
    last = {-(-line["epoch"] // 1): line for line in lines if line["phase"] == "train"}
    kept = [
        line for line in lines if line["phase"] != "train" or line is last[-(-line["epoch"] // 1)]
    ]
    return [
        {
            key: float(f"{value:.5g}") if isinstance(value, float) else value
            for key, value in line.items()
        }
        for line in kept
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/bin/sh
# One would guess: with RunInference(...).with_exception_handling() the examples that a model fails on go to the
#   dead letters, and the others to the results.
# It is not so (apache-beam 2.77.0): one bad example takes its whole batch with it. A good example's fate depends
#   on which others the runner put beside it, and the record is the batch, not the example.
# It matters: one unreadable image loses up to a batch of good ones, and the count of dead letters says nothing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile --only-binary grpcio apache-beam==2.77.0
venv/bin/python - > log 2>&1 <<'EOS' || { cat log; exit 1; }
import apache_beam as beam
from apache_beam.ml.inference.base import ModelHandler, RunInference

good, dead = [], []


class Doubles(ModelHandler):
    def load_model(self):
        return None

    def run_inference(self, batch, model, inference_args=None):
        if 3 in batch:
            raise ValueError("no model takes 3")
        return [2 * number for number in batch]


for size in (1, 4):
    good, dead = [], []
    handler = Doubles(min_batch_size=size, max_batch_size=size)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        numbers = pipeline | beam.Create(range(8), reshuffle=False)
        found, letters = numbers | RunInference(handler).with_exception_handling()
        found | "good" >> beam.Map(lambda number: print("good", number))
        letters.failed_inferences | "dead" >> beam.Map(lambda one: print("dead", one[0]))
    print(f"apache-beam {beam.__version__}: that were batches of {size}")
EOS
grep -E '^(apache-beam|dead)' log
grep -qx 'dead \[0, 1, 2, 3\]' log && grep -qx 'dead \[3\]' log && [ "$(grep -c '^good' log)" = 11 ]

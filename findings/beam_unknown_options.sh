#!/bin/sh
# One would guess: an option that Apache Beam does not know is an error, as with any argparse program.
# It is not so (apache-beam 2.77.0): it is dropped with a warning, and the pipeline runs. An option with a letter
#   missing, --runer=FlinkRunner, is a pipeline on this machine instead of the cluster, with exit status 0.
# It matters: a job for a cluster is tried on the machine that submits it, until its memory ends.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile --only-binary grpcio apache-beam==2.77.0
venv/bin/python - > log 2>&1 <<'EOS' || { cat log; exit 1; }
import os

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

options = PipelineOptions(["--runer=FlinkRunner", "--flink_mster=host:8081"])
with beam.Pipeline(runner=options.get_all_options()["runner"] or "FnApiRunner", options=options) as pipeline:
    pipeline | beam.Create([os.getpid()]) | beam.Map(lambda pid: print("ran here:", pid == os.getpid()))
print(f"apache-beam {beam.__version__} ended well")
EOS
grep -E '^(apache-beam|ran here|.*Discarding)' log | sort -u
grep -q 'Discarding unparseable args' log && grep -q 'ran here: True' log

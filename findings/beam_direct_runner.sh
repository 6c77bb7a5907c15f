#!/bin/sh
# One would guess: Apache Beam's DirectRunner, the default, runs a Python pipeline with what pip installed.
# It is not so (apache-beam 2.77.0): it first downloads a runner written in Go from the web, unpacks it in the
#   user's cache and starts it; only where that fails does it go back to Python, with a message at level INFO.
# It matters: a machine without the web waits for it to fail, and one with it runs a binary that no lock file
#   names. --runner=FnApiRunner is the one in Python.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile --only-binary grpcio apache-beam==2.77.0
venv/bin/python - > log 2>&1 <<'EOS' || { cat log; exit 1; }
import apache_beam
from apache_beam.runners.portability import prism_runner

asked = []


def urlopen(url, *_, **__):
    asked.append(url)
    raise OSError("no network here")


prism_runner.urlopen = urlopen
for runner in (None, "DirectRunner", "FnApiRunner"):
    before = len(asked)
    with apache_beam.Pipeline(runner=runner) as pipeline:
        pipeline | apache_beam.Create([1, 2]) | apache_beam.Map(lambda number: number)
    print(f"apache-beam {apache_beam.__version__}, runner {runner}: asked for {asked[before:] or 'nothing'}")
assert len(asked) == 2 and all("prism-" in url for url in asked), "changed"
EOS
grep '^apache-beam' log

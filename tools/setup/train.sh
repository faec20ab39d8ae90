#!/usr/bin/env bash
# Makes the environment that trains the built-in models: tools/setup/train.sh FOLDER
# What the development environment has, and PyTorch.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$1
tools/setup/venv.sh "$venv" auto
rm -f "$venv/.ready"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement requirements/train.txt
touch "$venv/.ready"
echo "$venv can train: $venv/bin/passerby-lab train embedder --help"

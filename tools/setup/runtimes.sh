#!/usr/bin/env bash
# Runs the whole suite twice: with tflite-runtime and NumPy 1.26 on Python 3.11, as a Pi with Bookworm
# has it, and with LiteRT and NumPy 2 on Python 3.12 or later.
set -euo pipefail
cd "$(dirname "$0")/../.."
newer=
for name in ${PYTHON_NEWER:-} python3.13 python3.12; do
    command -v "$name" >/dev/null && "$name" -c '' 2>/dev/null && newer=$name && break
done
if [ -z "$newer" ]; then
    echo "No Python 3.12 or 3.13 here (PYTHON_NEWER=PROGRAM names one): only one half can run." >&2
    exit 1
fi
tools/setup/broker.sh
for pair in "python3.11 tflite .venv-tflite" "$newer auto .venv-newer"; do
    read -r python runtime venv <<<"$pair"
    PYTHON=$python tools/setup/venv.sh "$venv" "$runtime"
    "$venv/bin/python" -m pytest -q
done

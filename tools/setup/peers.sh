#!/usr/bin/env bash
# Makes the environment in which the benchmark's peers run: tools/setup/peers.sh FOLDER
# What the development environment has, and each peer by itself: one that has no wheel for this
# processor or Python, or that does not start, is named and left out, and the others stay.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$1 lock=requirements/peers.txt
tools/setup/venv.sh "$venv" auto
rm -f "$venv/.ready"
python=$venv/bin/python
chosen=$(mktemp)
trap 'rm -f "$chosen" "$chosen.log"' EXIT

# Writes the locked lines of the named packages, with their hashes.
locked() {
    local name
    for name in "$@"; do
        awk -v name="$name==" 'index($0, name) == 1 {on = 1} on {print} on && !/\\$/ {exit}' "$lock"
    done >"$chosen"
}

# install PEER MODULES PACKAGE...: installs the packages in this order and imports the modules.
# Without build isolation: face-recognition-models is source, and its build must be locked as well.
install() {
    local peer=$1 modules=$2 package
    shift 2
    for package in "$@"; do
        locked "$package"
        if ! "$python" -m pip install --quiet --disable-pip-version-check --no-deps \
            --no-build-isolation --require-hashes --requirement "$chosen" >"$chosen.log" 2>&1; then
            echo "$peer is left out: $package cannot be installed ($(reason))"
            return
        fi
    done
    if ! "$python" -W ignore -c "import $modules" >"$chosen.log" 2>&1; then
        echo "$peer is left out: it does not start here ($(reason))"
        "$python" -m pip uninstall --quiet --yes "$@" >/dev/null 2>&1 || true
        return
    fi
    echo "$peer is there"
}

# The first error of the last command in one line; what a crash left is nothing.
reason() {
    { grep -m 1 -iE 'error' "$chosen.log" || tail -n 1 "$chosen.log"; } | cut -c -160 | grep . ||
        echo "it said nothing"
}

install "dlib and face_recognition" "dlib, face_recognition" \
    setuptools dlib-bin face-recognition-models face-recognition
install "ncnn" "ncnn" ncnn
install "OpenVINO" "openvino" openvino
touch "$venv/.ready"
echo "$venv is ready: make bench runs what is in it beside Passerby"

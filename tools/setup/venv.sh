#!/usr/bin/env bash
# Makes the environment: tools/setup/venv.sh FOLDER [auto|tflite|device|desk]
# Pinned and hash-checked; on Raspberry Pi OS it sees the camera library that apt brought.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$1 runtime=${2:-auto}

find_python() {
    for name in ${PYTHON:-} python3.11 python3.13 python3.12 python3; do
        if command -v "$name" >/dev/null &&
            "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
}

python=$(find_python)
if [ -z "$python" ]; then
    echo "Passerby needs Python 3.11, 3.12 or 3.13: install it (Debian: apt install python3 python3-venv)" >&2
    exit 1
fi

# Debian keeps the venv module in a package of its own.
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "python3-venv is missing; installing it"
    # shellcheck source=tools/setup/apt.sh
    . tools/setup/apt.sh
    apt_install python3-venv || {
        echo "Please run: sudo apt install python3-venv" >&2
        exit 1
    }
fi

see_system=()
if [ -d /usr/lib/python3/dist-packages/picamera2 ]; then
    # libcamera is on no package index: the camera library comes from Raspberry Pi OS.
    see_system=(--system-site-packages)
fi

lock=requirements/lock.txt
[ "$runtime" = tflite ] && lock=requirements/tflite.txt
# A device gets what it runs on, not what Passerby is developed with.
[ "$runtime" = device ] && lock=requirements/device.txt
# A desk gets the gateway's database too; it can be a device as well, for a demonstration.
[ "$runtime" = desk ] && lock=requirements/desk.txt

echo "making $venv with $("$python" --version), $lock"
rm -rf "$venv"
"$python" -m venv "${see_system[@]}" "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$lock"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
if [ "$runtime" != device ] && [ "$runtime" != desk ]; then
    # picamera2, to check our calls against its real signatures; it cannot be imported off a Pi.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        --target "$venv/reference" --requirement requirements/reference.txt
fi
# A device writes nothing outside its state directory, compiled modules neither: they are made here.
"$venv/bin/python" -m compileall -q device tools
touch "$venv/.ready"
echo "$venv is ready: $venv/bin/passerby, passerby-desk, passerby-field"

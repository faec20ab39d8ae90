#!/usr/bin/env bash
# Checks that every pinned package of a device has a wheel for 64-bit Arm: Raspberry Pi OS Bookworm
# (Python 3.11, glibc 2.36) and Trixie (Python 3.13, glibc 2.41). Installs into a throw-away folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
for pair in 3.11:2_36 3.13:2_40; do
    folder=$(mktemp -d)
    "$1/bin/uv" pip install --quiet --target "$folder" --python-version "${pair%%:*}" \
        --python-platform "aarch64-manylinux_${pair##*:}" --only-binary :all: --require-hashes \
        --no-deps --requirement requirements/device.txt
    echo "Python ${pair%%:*} on aarch64: $(find "$folder" -name '*.dist-info' | wc -l) packages, $(du -sh "$folder" | cut -f1)"
    rm -rf "$folder"
done

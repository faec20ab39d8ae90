#!/usr/bin/env bash
# Renews the pinned requirements with uv: for every platform at once, with hashes.
set -euo pipefail
cd "$(dirname "$0")/../.."
common=(--quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --python-version 3.11 --upgrade --constraint requirements/constraints.in)
uv pip compile "${common[@]}" --universal --extra dev --no-emit-package passerby -o requirements/lock.txt pyproject.toml
uv pip compile "${common[@]}" --universal --extra tools --no-emit-package passerby -o requirements/device.txt --constraint requirements/lock.txt pyproject.toml requirements/build.in
uv pip compile "${common[@]}" --universal --extra desk --no-emit-package passerby -o requirements/desk.txt --constraint requirements/lock.txt pyproject.toml requirements/build.in
# The same as a Pi with Bookworm has, for any processor.
uv pip compile "${common[@]}" --extra dev --no-emit-package passerby \
    --override requirements/tflite-override.in -o requirements/tflite.txt pyproject.toml requirements/tflite.in
uv pip compile "${common[@]}" --no-deps -o requirements/reference.txt requirements/reference.in
# The benchmark's peers, in an environment of their own: nothing of them constrains the product.
uv pip compile "${common[@]}" --universal --no-deps -o requirements/peers.txt requirements/peers.in

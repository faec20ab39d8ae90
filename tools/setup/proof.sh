#!/usr/bin/env bash
# Makes sure that strace and gdb are there for `make proof-forgetting`, where that is allowed.
set -euo pipefail
cd "$(dirname "$0")/../.."
missing=
command -v strace >/dev/null || missing="$missing strace"
command -v gcore >/dev/null || missing="$missing gdb"
[ -z "$missing" ] && exit 0
# shellcheck source=tools/setup/apt.sh
. tools/setup/apt.sh
# shellcheck disable=SC2086 # each is a package of its own
apt_install $missing && exit 0
for package in $missing; do
    case $package in
        strace) part="the list of every write and of everybody contacted" ;;
        gdb) part="the core image of another tool (the proof writes its own)" ;;
    esac
    echo "$package is not here and may not be installed: SKIPPED is $part." >&2
done
echo "Please run: sudo apt install$missing" >&2
[ "${CI:-}" != true ]

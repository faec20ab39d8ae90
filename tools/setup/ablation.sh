#!/bin/sh
# What each kind of sample buys: one short training after the other, each with one thing more in it.
# Usage: ablation.sh ENVIRONMENT TRAIN-DATA TEACHERS WATCH. SAMPLES= of each, RENDERED= pools.
set -eu
environment=$1 data=$2 teacher=$3/face-reidentification-retail-0095.xml watch=$4
samples=${SAMPLES:-20480}
rendered=${RENDERED:-train-output/rendered.npz}
out=${OUT:-train-output/ablation}
curves=

# one NAME OPTIONS...: nothing that is done already is done again.
one() {
    name=$1
    shift
    # shellcheck disable=SC2086 - several pools are several words
    "$environment/bin/passerby-lab" train embedder --data "$data" --rendered $rendered \
        --teacher "$teacher" --watch "$watch" --out "$out/$name" --samples "$samples" \
        --report-every 5120 --resume "$@"
    curves="$curves $name=$out/$name/journal.jsonl"
}

one photographs --no-tone --strength 0 --turn 0 --no-mix --paint 0 --rendered-share 0 --met 0
one light-and-camera --strength 0 --turn 0 --no-mix --paint 0 --rendered-share 0 --met 0
one shapes-and-turns --no-mix --paint 0 --rendered-share 0 --met 0
one blends --paint 0 --rendered-share 0 --met 0
one marks --rendered-share 0 --met 0
one rendered-people --met 0
one who-they-are --met-from 0
# shellcheck disable=SC2086
"$environment/bin/passerby-lab" train curves $curves --out "$out/pairs.svg"

#!/bin/sh
# libFuzzer on the frame decoder and on the estimator step, each for so many seconds (60): run.sh [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
CLANG=${CLANG:-$(command -v clang || command -v clang-14 || true)}
if [ -z "$CLANG" ]; then
    echo "fuzz: clang with libFuzzer is missing: apt-get install clang libclang-rt-dev" >&2
    exit 2
fi
out=build/fuzz
flags="-std=c11 -g -O1 -ffp-contract=off -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all"
for target in frame step; do
    mkdir -p "$out/$target"
    # shellcheck disable=SC2086  # the words of $flags are meant to be split
    "$CLANG" $flags -Ifirmware/core -Ifirmware/generated "firmware/fuzz/fuzz_$target.c" firmware/core/*.c \
        firmware/generated/*.c -lm -o "$out/fuzz_$target"
    # Reproducible: the corpus is only what this run finds.
    rm -f "$out/$target"/*
    "$out/fuzz_$target" -seed=1 -max_len=600 -max_total_time="${1:-60}" -artifact_prefix="$out/" -print_final_stats=1 \
        "$out/$target"
done

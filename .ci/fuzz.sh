#!/usr/bin/env bash
# Runs the fuzz targets for some seconds each: .ci/fuzz.sh [SECONDS] [TARGET…]
#
# It calls libFuzzer as `cargo fuzz` would, which needs not be installed; a C++ compiler suffices. For a smoke
# run there is no sanitizer: what parses has no unsafe code, and the build takes half the time. For a search,
# SANITIZER=address (nightly Rust) lets libFuzzer see through comparisons of strings as well.
# Findings are written to fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

seconds=${1:-10}
shift || true
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for file in fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-../target}/fuzz
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
if [ -n "${SANITIZER:-}" ]; then
    export RUSTUP_TOOLCHAIN=nightly
    RUSTFLAGS+=" -Zsanitizer=$SANITIZER"
    target_dir+=-$SANITIZER
fi
cargo build --quiet --release --target "$host" --target-dir "$target_dir" --bins

found=0
for target in "${targets[@]}"; do
    corpus=$(mktemp -d)
    mkdir -p artifacts
    seeds=("seeds/$target")
    case $target in
    nv2) seeds=(../tests/fixtures/nv2 ../tests/fixtures/nv2-json) ;;
    config) seeds=(../config) ;;
    esac
    # Content that is bounded elsewhere is bounded here too.
    if "$target_dir/$host/release/$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 \
        -rss_limit_mb=2048 -artifact_prefix="artifacts/$target-" -print_final_stats=1 \
        "$corpus" "${seeds[@]}" 2>"$corpus.log"; then
        echo "fuzz $target: ok, $(sed -n 's/^stat::number_of_executed_units: *//p' "$corpus.log") runs in ${seconds}s"
    else
        echo "fuzz $target: FAILED"
        tail -n 40 "$corpus.log"
        found=1
    fi
    rm -rf "$corpus" "$corpus.log"
done
exit $found

#!/usr/bin/env bash
# Portcullis beside nginx (proxy_cache, static files), varnish, distribution and docker-registry as pull-through
# caches: the same data and the same load, in one run on this machine, in rounds that take turns, so that what else
# the machine does falls on all. Prints medians, ratios and goals as a Markdown table; docs/BENCHMARKS.md says what
# each row means.
#
#   benches/peers.sh [--only PATTERN] [--seconds N] [--rounds N] [--smoke] [--list]
#
# Needs what .ci/peers.sh installs, rustc, and target/release/portcullis (or $PORTCULLIS).
set -euo pipefail
cd "$(dirname "$0")/.."

PORTCULLIS=$(realpath "${PORTCULLIS:-target/release/portcullis}")
peers=$(.ci/peers.sh)
export PORTCULLIS PATH="$peers/bin:$PATH:/usr/sbin"
if [ ! -x "$peers/bin/load" ] || [ benches/peers/load.rs -nt "$peers/bin/load" ]; then
    rustc --edition 2024 -O -D warnings -o "$peers/bin/load" benches/peers/load.rs
fi
PYTHONDONTWRITEBYTECODE=1 exec python3 benches/peers "$@"

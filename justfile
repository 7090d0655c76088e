# What is done often. `just` lists it; every line can as well be typed.

default:
    @just --list

# All that must hold before a change is merged, peers and fuzzing included
gate:
    bash .ci/run

# Format, lint and test, without peers
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# Real registries, signers and clients (installs them; root for containerd and dockerd)
peers *FILTER:
    .ci/peers.sh
    cargo test --test peers -- --ignored --test-threads 2 {{FILTER}}

# Search with every fuzz target for some seconds, or with those named (nightly Rust)
fuzz SECONDS="60" *TARGETS:
    SANITIZER=address .ci/fuzz.sh {{SECONDS}} {{TARGETS}}

# Licences, bans, sources and advisories of all dependencies
deny:
    cargo deny check

# The micro-benchmarks: verifying, deciding, parsing names
bench:
    cargo bench

# Side by side with nginx, varnish and other registries on the same data (installs them); `--list` names what
bench-peers *ARGUMENTS:
    .ci/peers.sh
    cargo build --release
    benches/peers.sh {{ARGUMENTS}}

# The story of a signed image, with keys made on the spot
demo *ARGUMENTS:
    cargo run --release -- demo {{ARGUMENTS}}

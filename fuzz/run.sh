#!/usr/bin/env bash
# Runs every fuzz target for some seconds each (default 5): ./run.sh [seconds]
#
# Needs no nightly toolchain and no cargo-fuzz: coverage comes from LLVM's own pass, which stable
# rustc runs too. (A sanitizer would need nightly; the crate forbids unsafe code, so panics and
# broken promises are what there is to find.) Where the toolchain cannot do that, this says so and
# succeeds; a target that fails leaves its input in artifacts/ and fails the script.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-5}
status=0

cannot() {
  echo "fuzz: NOT RUN: $1" >&2
  exit $status
}

coverage=(
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
)
command -v "${CXX:-c++}" >/dev/null || cannot "libFuzzer needs a C++ compiler"
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
echo 'pub fn probe(x: u32) -> bool { x == 7 }' | rustc "${coverage[@]}" --crate-type lib --out-dir "$probe" - \
  2>"$probe/error" || cannot "$(rustc --version) cannot instrument: $(head -n 1 "$probe/error")"

# With a target named, the flags stay away from build scripts, which do not link with libFuzzer.
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
targets=(fuzz_targets/*.rs)
targets=("${targets[@]#fuzz_targets/}")
targets=("${targets[@]%.rs}")
cargo run --no-default-features --bin seeds corpus
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${coverage[*]}") \
  cargo build --release --target "$host" "${targets[@]/#/--bin=}"
built=$CARGO_TARGET_DIR/$host/release

for target in "${targets[@]}"; do
  mkdir -p "artifacts/$target" "$probe/$target"
  log=$probe/$target.log
  # New inputs go where they are thrown away: a short run leaves nothing to review.
  if ! "$built/$target" -max_total_time="$seconds" -max_len=70000 -timeout=10 -rss_limit_mb=1024 \
    -artifact_prefix="artifacts/$target/" "$probe/$target" "corpus/$target" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "fuzz: $target FAILED" >&2
    status=1
  elif ! grep -q 'inline 8-bit counters' "$log"; then
    cannot "$target was built without coverage"
  else
    echo "fuzz: $target: $(grep -o 'Done .*' "$log"), $(grep -o 'cov: [0-9]*' "$log" | tail -n 1)"
  fi
done
exit $status

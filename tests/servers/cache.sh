# shellcheck shell=bash
# Builds a Go module of the tests into a cache outside the tree, once for every set of inputs. Sourced by the `build`
# script beside each module; the binary of an earlier run with the same inputs is used as it is.

set -euo pipefail

servers=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/vault-token-plugin"

# The build must not depend on how this machine's Go happens to be set up.
export GOWORK=off GOFLAGS='' CGO_ENABLED=0

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

# build_once NAME MODULE_DIR BINARY KEY_TEXT: prints the path of BINARY, which `compile WORK OUT` makes from a copy of
# the module when it is not cached yet. KEY_TEXT holds what the result depends on besides the module's own files.
build_once() {
    local name=$1 module=$2 binary=$3 key_text=$4
    local go_version key room result work
    go_version=$("$servers/go" env GOVERSION)
    key=$({
        cat "$module"/go.mod "$module"/go.sum "$module"/*.go "$module/build" "$servers/cache.sh"
        printf '%s\n' "$go_version" "$key_text"
    } | sha256sum | cut -c1-16)
    room="$cache/$name"
    result="$room/$key/$binary"
    work="$room/work"

    if [[ ! -x $result ]]; then
        mkdir -p "$room"
        exec {lock}>"$room/lock"
        if ! flock --nonblock "$lock"; then
            say "$name: another build is running, waiting for it"
            flock "$lock"
        fi
    fi
    # Asked again: the one who held the lock may have made it.
    if [[ ! -x $result ]]; then
        say "$name: building with $go_version into $room/$key"
        # What an interrupted build left. Only the holder of the lock may touch it.
        rm -rf "$work"
        mkdir -p "$work/source" "$work/$key"
        cp "$module"/go.mod "$module"/go.sum "$module"/*.go "$work/source/"
        # Standard output carries the result alone. Called plainly, not under `if`, so that `set -e` holds inside.
        compile "$work/source" "$work/$key/$binary" >&2
        rm -rf "${room:?}/$key"
        mv "$work/$key" "$room/$key"
        rm -rf "$work"
        say "$name: built in $SECONDS s"
    fi
    printf '%s\n' "$result"
}

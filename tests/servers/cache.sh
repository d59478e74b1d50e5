# shellcheck shell=bash
# What the build scripts beside this one share. A result lives in the cache outside the tree, below a key of everything it
# is made from, and is made once for each key. Sourced.

set -euo pipefail
# Else a failing step inside $(...) would be passed over.
shopt -s inherit_errexit

servers=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/vault-token-plugin"

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

# key_of TEXT FILE...: a short key of a text and of the contents of files.
key_of() {
    local text=$1
    shift
    { cat -- "$@" </dev/null && printf '%s\n' "$text"; } | sha256sum | cut -c1-16
}

# make_once NAME KEY FILE MAKE: prints the path of FILE in the result directory of NAME and KEY. When it is missing, `MAKE DIR`
# is called in an empty working directory and fills DIR, the result directory to be. A failed or interrupted call leaves no result.
make_once() {
    local name=$1 key=$2 file=$3 make=$4
    local room="$cache/$1" lock
    local result="$room/$key" work="$room/work"
    if [[ ! -e $result/$file ]]; then
        mkdir -p "$room"
        exec {lock}>"$room/lock"
        if ! flock --nonblock "$lock"; then
            say "$name: waiting for another build"
            flock "$lock"
        fi
        # Asked again: the previous holder of the lock may have made it.
        if [[ ! -e $result/$file ]]; then
            # Left by an interrupted build. Only the holder of the lock may touch it.
            rm -rf "$work" "$result"
            mkdir -p "$work/in" "$work/out"
            cd "$work/in"
            # Called plainly, not under `if`, so that `set -e` holds inside. Standard output carries the result alone.
            "$make" "$work/out" >&2
            cd "$room"
            mv "$work/out" "$result"
            rm -rf "$work"
            [[ -e $result/$file ]] || fail "$name: the build did not make $file"
            say "$name: ready after $SECONDS s"
        fi
        exec {lock}>&-
    fi
    printf '%s\n' "$result/$file"
}

# build_once NAME MODULE_DIR BINARY KEY_TEXT: prints the path of BINARY, which `compile SOURCE OUT` builds from a copy of the Go
# module in MODULE_DIR. KEY_TEXT is what the binary depends on besides the files of the module and the Go release.
build_once() {
    local module=$2 binary=$3 key
    key=$(key_of "$4" "$module"/go.mod "$module"/go.sum "$module"/*.go "$module/build" "$servers/go")
    compile_module() {
        say "$name: building with $("$servers/go" env GOVERSION)"
        cp "$module"/go.mod "$module"/go.sum "$module"/*.go .
        compile "$PWD" "$1/$binary"
    }
    make_once "$1" "$key" "$binary" compile_module
}

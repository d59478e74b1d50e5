#!/bin/sh
# Builds vault-token-plugin and installs it with its shell completions below $PREFIX (default ~/.local).
# Can be run again; DESTDIR is put before every path, for packagers.
set -eu

prefix=${PREFIX:-${HOME:?set PREFIX or HOME}/.local}
root=${DESTDIR:-}$prefix
source=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# A file that is in use is replaced, never written to.
put() {
    mkdir -p "$(dirname -- "$3")"
    temporary=$3.new.$$
    trap 'rm -f -- "$temporary"' EXIT
    cp -- "$2" "$temporary"
    chmod "$1" "$temporary"
    mv -f -- "$temporary" "$3"
    trap - EXIT
}

command -v cargo >/dev/null || {
    echo "install.sh: cargo is missing; https://rustup.rs installs it" >&2
    exit 1
}
(cd "$source" && cargo build --release --locked --bin vault-token-plugin)
target=${CARGO_TARGET_DIR:-$source/target}
case $target in /*) ;; *) target=$source/$target ;; esac

put 755 "$target/release/vault-token-plugin" "$root/bin/vault-token-plugin"
put 644 "$source/completions/vault-token-plugin.bash" \
    "$root/share/bash-completion/completions/vault-token-plugin"
put 644 "$source/completions/_vault-token-plugin" "$root/share/zsh/site-functions/_vault-token-plugin"
put 644 "$source/completions/vault-token-plugin.fish" \
    "$root/share/fish/vendor_completions.d/vault-token-plugin.fish"

echo "Installed $root/bin/vault-token-plugin"
case :$PATH: in
*:"$prefix/bin":*) ;;
*) echo "Add $prefix/bin to PATH to find it." ;;
esac

# shellcheck shell=bash
# What the scripts beside this one share: where clusters are, and how one that is no more is cleared away.

set -euo pipefail

# shellcheck disable=SC2034  # used by those who source this
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
clusters="${XDG_CACHE_HOME:-$HOME/.cache}/vault-token-plugin/clusters"

PATH="$PATH:/usr/sbin:/sbin"

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

# claim FOLDER: makes the folder of a new cluster and locks it, as descriptor 8. The lock is held by this process and by the
# cluster's first process, so it is free when both are gone, however they ended. Clears away what killed clusters left.
claim() {
    local folder=$1 other
    mkdir -p "$clusters"
    # Else a cluster could be cleared away between its folder's and its lock's first moment.
    exec 7>"$clusters/lock"
    flock 7
    for other in "$clusters"/*/; do
        if [[ -d $other ]] && is_gone "$other"; then
            clear_away "$other"
        fi
    done
    mkdir "$folder" 2>/dev/null || fail "a cluster runs in $folder"
    exec 8>"$folder/lock"
    flock --nonblock 8
    exec 7>&-
}

is_gone() {
    flock --nonblock "$1/lock" true 2>/dev/null
}

# clear_away FOLDER: removes what a cluster without processes left. Mounts and network namespaces are none: they belonged to
# namespaces that ended with the last process.
clear_away() {
    local folder=${1%/} task container controller
    for task in "$folder"/containerd/state/io.containerd.runtime.v2.task/k8s.io/*/; do
        container=$(basename "$task")
        for controller in /sys/fs/cgroup/* /sys/fs/cgroup; do
            # Not every controller has one, and on cgroup v2 there is only the last.
            rmdir "$controller/k8s.io/$container" 2>/dev/null || true
        done
    done
    rm -rf --one-file-system "$folder"
}

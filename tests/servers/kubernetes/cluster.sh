# shellcheck shell=bash
# What the scripts beside this one share: where clusters are, and how the files of an ended one are removed.

# shellcheck source=tests/servers/cache.sh
source "$(dirname "${BASH_SOURCE[0]}")/../cache.sh"

# shellcheck disable=SC2034  # used by the scripts that source this
here=$servers/kubernetes
clusters="$cache/clusters"

PATH="$PATH:/usr/sbin:/sbin"

# claim FOLDER: makes the folder of a new cluster and locks it, as descriptor 8. The lock is held by this process and by the
# cluster's first process, so it is free when both are gone, however they ended. Clears away what killed clusters left.
claim() {
    local folder=$1 other
    mkdir -p "$clusters"
    # Else a cluster could be cleared away between its folder's and its lock's first moment.
    exec 7>"$clusters/lock"
    flock 7
    clear_ended
    mkdir "$folder" 2>/dev/null || fail "a cluster runs in $folder"
    exec 8>"$folder/lock"
    flock --nonblock 8
    exec 7>&-
}

# Removes the files and cgroups of every cluster that has ended, however it ended.
clear_ended() {
    local other
    for other in "$clusters"/*/; do
        if [[ -d $other ]] && is_gone "$other"; then
            clear_away "$other"
        fi
    done
}

is_gone() {
    flock --nonblock "$1/lock" true 2>/dev/null
}

# cgroup_of FOLDER: the cgroup, below the root of each hierarchy, that holds the cgroups of a cluster's containers.
cgroup_of() {
    printf 'vault-token-plugin-%s' "$(basename "$1")"
}

# clear_away FOLDER: removes what a cluster without processes left. Mounts and network namespaces are none: they belonged to
# namespaces that ended with the last process.
clear_away() {
    local folder=${1%/} cgroup until=$((SECONDS + 30))
    for cgroup in "/sys/fs/cgroup/$(cgroup_of "$folder")" /sys/fs/cgroup/*/"$(cgroup_of "$folder")"; do
        # From the leaves up; the files in them are the kernel's. One that a process is just leaving cannot be removed yet.
        while [[ -d $cgroup ]] && ! find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null && [[ -d $cgroup ]]; do
            ((SECONDS < until)) || fail "cgroup $cgroup cannot be removed"
            sleep 0.1
        done
    done
    rm -rf --one-file-system "$folder"
}

# shellcheck shell=bash
# What this machine can give to the tests, said before anything is built, and whether a run has left it as it was. Sourced by
# tests/run. Uses bash and coreutils only.

# Which tests cannot run here, and why: set by `inspect_machine`, each empty if nothing is in the way.
no_go=          # Go plugins and the official Go client
no_servers=     # a local Vault and OpenBao
no_apis=        # services that issue tokens
no_debian=      # Debian's programs: registry, skopeo, umoci, Prometheus
no_cluster=     # a Kubernetes and pods
no_root_dir=    # servers in a root directory of their own
no_fuzz=        # fuzz targets
untested=()     # what nobody has run the tests on

# The one thing that needs no bash of our age: macOS has bash 3.
require_linux() {
    if [[ $(uname -s) != Linux ]]; then
        printf 'tests/run needs Linux: the plugin and its tests use namespaces, /proc and signals of Linux.\n'
        printf 'On %s, `cargo test --lib` runs the pure tests.\n' "$(uname -s)"
        exit 1
    fi
    if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
        printf 'tests/run needs bash 4.4 or newer; this is %s\n' "$BASH_VERSION"
        exit 1
    fi
}

has() { command -v "$1" >/dev/null 2>&1; }

# missing_of PROGRAM...: those that are not in PATH, separated by commas.
missing_of() {
    local program missing=
    for program in "$@"; do
        has "$program" || missing+="${missing:+, }$program"
    done
    printf '%s' "$missing"
}

# inspect_machine: sets the variables above. Fails, with everything that is missing at once, where nothing can be tested.
inspect_machine() {
    local missing id='' release=99 line
    missing=$(missing_of cargo rustc cc)
    if [[ -n $missing ]]; then
        printf 'missing: %s. Install Rust (https://rustup.rs) and a C compiler (Debian: build-essential).\n' "$missing"
        return 1
    fi
    while read -r line; do
        [[ $line == ID=* ]] && id=${line#ID=}
        [[ $line =~ ^VERSION_ID=\"([0-9]+) ]] && release=${BASH_REMATCH[1]}
    done < <(cat /etc/os-release 2>/dev/null || true)

    missing=$(missing_of sed grep find tar sha256sum flock)
    if [[ -n $missing ]]; then
        no_go="missing: $missing"
    elif [[ $id == debian ]] && has apt-get && has dpkg-deb; then
        if ((release < 12)); then
            no_apis="Debian $release has a Python older than 3.11, which JupyterHub, Keystone and devpi need"
        fi
    else
        no_debian="this is not Debian, whose packages are unpacked for them (found: ${id:-unknown system})"
        if ! has python3 || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
            no_go='python3 with venv is missing, which fetches Go and OpenBao'
        elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            no_apis='python3 is older than 3.11, which JupyterHub, Keystone and devpi need'
        fi
    fi
    no_debian=${no_debian:-$no_go}
    no_servers=$no_go
    no_apis=${no_apis:-$no_go}
    no_cluster=$no_debian
    if ((EUID != 0)); then
        no_cluster=${no_cluster:-'not root: a Kubernetes mounts and makes namespaces'}
        if ! unshare --map-root-user --mount true 2>/dev/null; then
            no_root_dir='not root, and user namespaces are not allowed'
        fi
    elif ! unshare --mount --pid --net --ipc --fork true 2>/dev/null; then
        no_cluster=${no_cluster:-'no namespaces can be made here'}
    fi
    if [[ -z $no_cluster && ! -d /sys/fs/cgroup ]]; then
        no_cluster='no cgroups are mounted at /sys/fs/cgroup'
    fi

    if ! has c++; then
        no_fuzz='no C++ compiler, which libFuzzer is written in'
    fi

    case $(uname -m) in
        x86_64) ;;
        aarch64) untested+=('arm64: nobody has run these tests on it') ;;
        *) no_go="neither amd64 nor arm64: $(uname -m)" no_servers=$no_go no_apis=$no_go no_debian=$no_go no_cluster=$no_go ;;
    esac
    if [[ -z $no_cluster && -e /sys/fs/cgroup/cgroup.controllers ]]; then
        untested+=('cgroup v2: nobody has run the Kubernetes tests on it')
    fi
    if [[ -n $id && $id != debian ]]; then
        untested+=("$id: nobody has run these tests on it")
    fi
}

# say_tiers: what runs and what does not, one line each.
say_tiers() {
    local line
    tier 'Rust code and the binary' ''
    tier 'Go plugins and the official Go client' "$no_go"
    if [[ $tests != fast ]]; then
        tier 'Vault and OpenBao on this machine' "$no_servers"
        tier "$(token_apis)" "$no_apis"
        tier 'images, metrics and alerts (registry, skopeo, umoci, Prometheus)' "${no_servers:-$no_debian}"
        tier 'servers in a root directory of their own' "${no_servers:-$no_root_dir}"
        tier 'Kubernetes: pods, upgrades, faults' "$no_cluster"
    fi
    tier 'fuzz targets' "$no_fuzz"
    for line in "${untested[@]}"; do
        printf '  note      %s\n' "$line"
    done
}

# token_apis: the services whose APIs are asked.
token_apis() {
    printf 'token APIs: JupyterHub, Verdaccio, Keystone'
    if [[ $tests == long ]]; then
        printf ', devpi, Hydra, Gitea'
        [[ -n $no_debian ]] || printf ', Keycloak'
    fi
}

tier() {
    if [[ -z $2 ]]; then
        printf '  runs      %s\n' "$1"
    else
        printf '  LEFT OUT  %s: %s\n' "$1" "$2"
    fi
}

# machine_state: what a run must leave as it was, one line each, for a comparison before and after.
machine_state() {
    local file value
    for file in /proc/sys/kernel/* /proc/sys/kernel/keys/* /proc/sys/vm/* /proc/sys/fs/*; do
        case ${file##*/} in
            # Counters, and what the kernel changes itself.
            ns_last_pid | random | *-nr | *-state | tainted | cad_pid | hostname | drop_caches | compact_memory | stat_refresh) continue ;;
        esac
        if [[ -f $file && -r $file ]] && value=$(cat "$file" 2>/dev/null | tr '\n\t' '  '); then
            printf 'kernel setting %s = %s\n' "${file#/proc/sys/}" "$value"
        fi
    done
    cut -d : -f 1,3 /etc/passwd | while read -r value; do printf 'user %s\n' "$value"; done
    for file in /etc/systemd/system/*.wants/* /etc/rc[0-6S].d/*; do
        printf 'service %s\n' "$file"
    done
    for file in /var/lib/dpkg/info/*.list; do
        printf 'package %s\n' "${file##*/}"
    done
    for file in /run/netns/* /var/run/netns/*; do
        printf 'network namespace %s\n' "$file"
    done
    while read -r _ value _; do
        printf 'mount %s\n' "$value"
    done </proc/mounts
    for file in /sys/fs/cgroup/* /sys/fs/cgroup/*/*; do
        case $file in
            *vault-token-plugin* | *k8s.io* | *kubepods*) [[ -d $file ]] && printf 'cgroup %s\n' "$file" ;;
        esac
    done
    for file in /tmp/*; do
        case $file in
            *.active | /tmp/systemd-*) ;;
            *) printf 'temporary file %s\n' "$file" ;;
        esac
    done
}

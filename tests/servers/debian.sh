# shellcheck shell=bash
# Debian's packages, unpacked into the cache: nothing is installed, no service is enabled, no user is added, and it needs no
# root. Sourced after cache.sh.
#
# The archive keeps one version of a package in a suite, so these are pinned by suite and by the archive's signature, and not by version.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Whether this is a Debian whose archive can be asked.
is_debian() {
    [[ -e $keyring ]] && command -v apt-get dpkg-deb >/dev/null && [[ -n $(debian_suite) && -n $(debian_mirror) ]]
}

debian_suite() {
    sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

# The mirror that this machine takes Debian's packages from.
debian_mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        grep -v '^#' | grep -oE '[a-z+]+://[^ ]*/debian/?( |$)' | head -n 1 | tr -d ' ' || true
}

# unpacked NAME SUITE FILE PACKAGE...: prints the path of FILE below a directory into which these packages, and what they depend
# on except the C library, are unpacked.
unpacked() {
    local name=$1 suite=$2 file=$3
    shift 3
    local packages=("$@")
    unpack() {
        is_debian || fail "$name: this is not a Debian, whose packages are needed: ${packages[*]}"
        say "$name: fetching ${packages[*]} from Debian $suite"
        mkdir -p lists/partial cache/archives/partial
        # Beside the lists and the state of the machine, which stay as they are.
        : >status
        printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$(debian_mirror)" "$suite" >sources.list
        local apt=(apt-get --quiet=2 --yes --no-install-recommends -o "Dir::Etc::SourceList=$PWD/sources.list"
            -o Dir::Etc::SourceParts=/dev/null -o "Dir::State=$PWD" -o "Dir::State::Lists=$PWD/lists"
            -o "Dir::State::status=$PWD/status" -o "Dir::Cache=$PWD/cache" -o Debug::NoLocking=true
            -o APT::Sandbox::User="$(id --user --name)")
        { "${apt[@]}" update && "${apt[@]}" install --download-only "${packages[@]}"; } >apt.log 2>&1 || {
            cat apt.log
            fail "$name: apt-get could not fetch ${packages[*]}"
        }
        local package
        for package in cache/archives/*.deb; do
            case ${package##*/} in
                # One C library in a process: the machine's.
                libc6_* | libc-bin_* | libcrypt1_* | base-files_*) ;;
                *) dpkg-deb --fsys-tarfile "$package" | tar --extract --no-same-owner --directory "$1" ;;
            esac
        done
        sha256sum cache/archives/*.deb | sed 's|cache/archives/||' >"$1/packages.sha256"
    }
    make_once "$name" "$(key_of "$suite ${packages[*]}" "$servers/debian.sh")" "$file" unpack
}

# library_path ROOT: where the dynamic linker finds the libraries of an unpacked directory.
library_path() {
    local multiarch
    multiarch=$(cd "$1/usr/lib" && printf '%s\n' *-linux-gnu | head -n 1)
    printf '%s' "$1/usr/lib/$multiarch:$1/lib/$multiarch"
}

# shellcheck shell=bash
# The Python of the tests, and starters of servers that are written in it. Sourced after cache.sh.
#
# On Debian it is Debian's own Python, unpacked into the cache, so that the machine needs none. Elsewhere it is the machine's python3.

# shellcheck source=tests/servers/debian.sh
source "$servers/debian.sh"

# find_python: sets `python`, the command line that runs it, and `python_wheels`, the directory of Debian's pip (empty elsewhere).
find_python() {
    local root
    python_wheels=
    if is_debian; then
        python_wheels=$(unpacked python "$(debian_suite)" usr/share/python-wheels python3 python3-pip-whl)
        root=${python_wheels%/usr/share/python-wheels}
        python=(env "LD_LIBRARY_PATH=$(library_path "$root")" "PYTHONHOME=$root/usr" "$root/usr/bin/python3")
    else
        python=("$(command -v python3)") || fail 'python3 is missing'
    fi
}

# python_id: what a directory of packages depends on besides their requirements: compiled packages fit one release of Python.
python_id() {
    "${python[@]}" -c 'import sysconfig; print(sysconfig.get_platform(), sysconfig.get_python_version())'
}

# write_python_starter FILE ARGUMENT...: writes a program that runs the Python with these arguments, and with the packages in the
# directory `packages` beside the directory of FILE.
write_python_starter() {
    local file=$1 command
    shift
    printf -v command '%q ' "${python[@]}" "$@"
    mkdir -p "${file%/*}"
    cat >"$file" <<SH
#!/bin/sh
PYTHONPATH=\$(cd "\$(dirname "\$0")/.." && pwd)/packages
export PYTHONPATH
exec $command"\$@"
SH
    chmod +x "$file"
}

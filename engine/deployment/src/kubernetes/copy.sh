# Stores compressed standard input as a file, and verifies it. Arguments: directory, file, sha256, size of the input,
# permission bits, owner or empty, and a nonce. The last line is the result.
LC_ALL=C
export LC_ALL
directory=$1 file=$2 wanted=$3 bytes=$4 mode=$5 owner=$6 nonce=$7
target=$directory/$file
part=$directory/.$file.$nonce.vtp-part

hash() {
	sum=$(sha256sum <"$1") && echo "${sum%% *}"
}

set_mode_and_owner() {
	chmod "$mode" "$1" && if [ -n "$owner" ]; then chown "$owner" "$1"; fi
}

# The sender reads the result only after it has sent everything.
discard_input() {
	head -c "$bytes" >/dev/null
}

ended() {
	echo "$1"
	exit 0
}

# With the cache key of the file, as in facts.sh.
copied() {
	key=$(stat -Lc '%i:%s:%Z' "$target"):$file && ended "copied $key"
	exit 1
}

# Writes and syncs small parts. Otherwise a Vault on the same disk, which syncs each of its entries, would wait until the whole
# binary is on disk, and so would its clients.
store() {
	# Must not overwrite a file or follow a link that another user has created.
	(set -C && : >"$part") || return 1
	size=
	while reached=$(stat -c %s "$part") && [ "$reached" != "$size" ]; do
		size=$reached
		output=$(dd bs=65536 count=64 2>&1 >>"$part") || {
			echo "$output" >&2
			return 1
		}
		# Not every sync accepts a file.
		sync "$part" 2>/dev/null || true
	done
}

umask 077
trap 'rm -f "$part"' EXIT
trap 'exit 1' HUP INT PIPE TERM
# Remove the partial files of killed copies. No other program uses these names.
rm -f "$directory"/.*.vtp-part

if [ -e "$target" ]; then
	discard_input
	there=$(hash "$target") || exit 1
	[ "$there" = "$wanted" ] || ended "taken $there"
	set_mode_and_owner "$target" || exit 1
	copied
fi
# Not every API server closes standard input, so read the given number of bytes.
head -c "$bytes" | {
	gzip -dc
	cat >/dev/null
} | store || exit 1
there=$(hash "$part") || exit 1
[ "$there" = "$wanted" ] || ended "corrupt $there"
set_mode_and_owner "$part" || exit 1
sync "$part" 2>/dev/null || sync
mv "$part" "$target" || exit 1
sync "$directory" 2>/dev/null || sync
copied

# Puts what comes in, compressed, into a directory, verified. Arguments: directory, file, sha256, bytes that come in,
# permission bits, owner or nothing, and a word that no other run has. The last line says how it ended.
LC_ALL=C
export LC_ALL
directory=$1 file=$2 wanted=$3 bytes=$4 mode=$5 owner=$6 nonce=$7
target=$directory/$file
part=$directory/.$file.$nonce.vtp-part

hash() {
	sum=$(sha256sum <"$1") && echo "${sum%% *}"
}

give() {
	chmod "$mode" "$1" && if [ -n "$owner" ]; then chown "$owner" "$1"; fi
}

# The other side cannot hear anything while it waits to be rid of what it sends, so all of it is taken in, come what may.
unread() {
	head -c "$bytes" >/dev/null
}

ended() {
	echo "$1"
	exit 0
}

# With what cannot stay the same when the content changes, as facts.sh says it.
placed() {
	key=$(stat -Lc '%i:%s:%Z' "$target"):$file && ended "placed $key"
	exit 1
}

# In pieces, each of them on the disk before the next one comes. What is written at once, a Vault that shares the disk waits for
# with each entry of its own, and its clients with it.
store() {
	# Never what somebody else has put there, nor what a link leads to.
	(set -C && : >"$part") || return 1
	size=
	while reached=$(stat -c %s "$part") && [ "$reached" != "$size" ]; do
		size=$reached
		said=$(dd bs=65536 count=64 2>&1 >>"$part") || {
			echo "$said" >&2
			return 1
		}
		# Not every sync takes a file.
		sync "$part" 2>/dev/null || true
	done
}

umask 077
trap 'rm -f "$part"' EXIT
trap 'exit 1' HUP INT PIPE TERM
# What a run that was cut has left: names that nothing else has.
rm -f "$directory"/.*.vtp-part

if [ -e "$target" ]; then
	unread
	there=$(hash "$target") || exit 1
	[ "$there" = "$wanted" ] || ended "taken $there"
	give "$target" || exit 1
	placed
fi
# Not every server tells when there is no more to come, so what comes is counted.
head -c "$bytes" | {
	gzip -dc
	cat >/dev/null
} | store || exit 1
there=$(hash "$part") || exit 1
[ "$there" = "$wanted" ] || ended "corrupt $there"
give "$part" || exit 1
sync "$part" 2>/dev/null || sync
mv "$part" "$target" || exit 1
sync "$directory" 2>/dev/null || sync
placed

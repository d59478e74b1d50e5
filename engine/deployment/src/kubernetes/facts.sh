# Prints the facts of a node, one per line. Arguments: plugin directory, dynamic linker or empty, plugin or empty, the cache keys
# <inode>:<size>:<change>:<name> of files whose content is known, and the files to hash, or empty for all; lists separated by spaces.
LC_ALL=C
export LC_ALL
directory=$1 linker=$2 plugin=$3 known=" $4 " needed=${5:+ $5 }

plain() {
	case $1 in '' | *[!A-Za-z0-9._+-]*) return 1 ;; esac
}

hash() {
	sum=$(sha256sum <"$1") && echo "${sum%% *}"
}

echo 'facts 1'
echo "user $(id -u)"
echo "machine $(uname -m)"
if [ -n "$linker" ] && [ -e "$linker" ]; then echo 'linker'; fi

for comm in /proc/[0-9]*/comm; do
	read -r name <"$comm" || continue
	case $name in vault | bao) ;; *) continue ;; esac
	pid=${comm#/proc/} pid=${pid%/comm}
	owner=$(stat -c %u "/proc/$pid") && echo "server $pid $owner"
done 2>/dev/null

# The first bytes of a file, which contain its headers. Not every image has these tools.
start() {
	bytes=$(head -c 4096 <"$1" | od -An -v -tx1) && echo "start $2" $bytes
} 2>/dev/null

if [ ! -e "$directory" ]; then
	echo 'nothing'
elif [ ! -d "$directory" ]; then
	echo 'no directory'
elif ! { [ -r "$directory" ] && real=$(cd -P "$directory" && pwd -P); } 2>/dev/null; then
	echo 'closed'
else
	echo "directory $(stat -Lc '%a %u' "$directory") $real"
	if [ -w "$directory" ] && [ -x "$directory" ]; then echo 'writable'; fi
	df -Pk "$directory" | {
		read -r _
		read -r _ _ _ free _ && echo "free $free"
	}
	at= options=
	while read -r _ point _ these _; do
		above=${point%/}
		case $real/ in "$above"/*) [ ${#point} -ge ${#at} ] && at=$point options=$these ;; esac
	done </proc/self/mounts
	echo "mount $options"
	# Its parent directories on the same volume.
	path=$real
	while [ "$path" != "$at" ] && [ "$path" != / ]; do
		path=${path%/*} path=${path:-/}
		seen=$(stat -Lc '%a %u' "$path" 2>/dev/null) && echo "above $seen $path"
	done
	for path in "$directory/$plugin"*; do
		file=${path##*/}
		[ -f "$path" ] && plain "$file" || continue
		key=$(stat -Lc '%i:%s:%Z' "$path"):$file
		case $known in *" $key "*) sum=- ;; *) sum= ;; esac
		case $needed in '' | *" $file "*) ;; *) sum=- ;; esac
		if [ -z "$sum" ]; then sum=$(hash "$path" 2>/dev/null) || sum='?'; fi
		echo "file $(stat -Lc '%a %u' "$path") $sum $key"
		case $sum in - | '?') ;; *) start "$path" "$file" ;; esac
		target=$(readlink -f "$path") || continue
		case $target in "$real"/*) ;; *) echo "link $file $target" ;; esac
	done
	for path in "$directory"/.*part; do
		file=${path##*/}
		if [ -f "$path" ] && plain "$file"; then echo "part $file"; fi
	done
	for path in /lib/ld-* /lib64/ld-*; do
		if [ -e "$path" ] && plain "${path##*/}"; then echo "has $path"; fi
	done
	for link in /proc/[0-9]*/exe; do
		path=$(readlink "$link" 2>/dev/null) || continue
		case $path in "$real"/*) file=${path#"$real"/} ;; *) continue ;; esac
		plain "${file% (deleted)}" || continue
		pid=${link#/proc/} pid=${pid%/exe}
		case $file in *' (deleted)') sum=$(hash "$link" 2>/dev/null) || sum=- ;; *) sum=- ;; esac
		echo "process $pid $sum $file"
	done
fi
echo 'end'

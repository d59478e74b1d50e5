# Says what a node is, a line each. Arguments: plugin directory, dynamic linker or nothing, plugin or nothing, and the files
# whose content is known, as <inode>:<size>:<change>:<name> between spaces.
LC_ALL=C
export LC_ALL
directory=$1 linker=$2 plugin=$3 known=" $4 "

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

if [ -d "$directory" ]; then
	real=$(cd -P "$directory" && pwd -P)
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
	for path in "$directory/$plugin"*; do
		file=${path##*/}
		[ -f "$path" ] && plain "$file" || continue
		key=$(stat -Lc '%i:%s:%Z' "$path"):$file
		case $known in *" $key "*) sum=- ;; *) sum=$(hash "$path") || continue ;; esac
		echo "file $(stat -Lc '%a %u' "$path") $sum $key"
	done
	for link in /proc/[0-9]*/exe; do
		path=$(readlink "$link" 2>/dev/null) || continue
		case $path in "$real"/*) file=${path#"$real"/} ;; *) continue ;; esac
		plain "${file% (deleted)}" || continue
		pid=${link#/proc/} pid=${pid%/exe}
		case $file in *' (deleted)') sum=$(hash "$link" 2>/dev/null) || sum=- ;; *) sum=- ;; esac
		echo "process $pid $sum $file"
	done
elif [ -e "$directory" ]; then
	echo 'no directory'
else
	echo 'nothing'
fi
echo 'end'

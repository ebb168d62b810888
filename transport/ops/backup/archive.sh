#!/bin/sh
# Keeps a segment of PostgreSQL's log, compressed and encrypted: archive_command = '…/archive.sh RECIPIENTS FOLDER %p %f'.
#
# Asked again for a segment that is there, as after a crash, it says yes if it is the same, and no if it is another.
set -eu
[ $# -eq 4 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/seal.sh"
umask 077
sum="$(sha256sum <"$3")"
if [ -e "$2/$4.gz.age" ]; then
    [ "$(cat "$2/$4.sha256")" = "$sum" ]
    exit
fi
printf '%s\n' "$sum" >"$2/$4.sha256"
sync "$2/$4.sha256"
seal "$1" "$2/$4.gz.age" gzip -c "$3"
sync "$2"

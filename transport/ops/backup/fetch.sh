#!/bin/sh
# Brings a segment back: restore_command = '…/fetch.sh IDENTITY FOLDER %f %p'.
#
# That there is none ends a recovery (1); that one cannot be read must not be taken for it (200: PostgreSQL stops).
[ -r "$1" ] && [ -d "$2" ] || { echo "cannot read $1 or $2" >&2; exit 200; }
[ -e "$2/$3.gz.age" ] || exit 1
{ age -d -i "$1" -o "$4.gz" "$2/$3.gz.age" && gzip -dc "$4.gz" >"$4.part"; } || exit 200
[ "$(sha256sum <"$4.part")" = "$(cat "$2/$3.sha256")" ] || { echo "$3 is not what was archived" >&2; exit 200; }
rm -f "$4.gz"
mv "$4.part" "$4" || exit 200

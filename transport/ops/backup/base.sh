#!/bin/sh
# A base for what archive.sh keeps: a copy of the whole server of PostgreSQL, encrypted.
#
#   DATABASE_URL=postgres://… base.sh RECIPIENTS FOLDER
#
# As a user who may replicate; the password is left to ~/.pgpass.
set -eu
[ $# -eq 2 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/seal.sh"
umask 077
mkdir -p "$2"
to="$2/base-$(date -u +%Y%m%dT%H%M%SZ).tar.age"
seal "$1" "$to" pg_basebackup --dbname="${DATABASE_URL:?}" --pgdata=- --format=tar --wal-method=fetch --checkpoint=fast
echo "$to"

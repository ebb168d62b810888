#!/bin/sh
# Restores what backup.sh made into an empty database and a folder without pictures.
#
#   DATABASE_URL=postgres://…/empty MADANG_DATA_DIR=… restore.sh IDENTITY FOLDER/madang-20261122T030000Z
#
# IDENTITY: file of the age private key. Afterwards: `madang restored`, then `madang serve`.
set -eu
[ $# -eq 2 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
identity="$1"
backup="${2%.database.age}"
: "${DATABASE_URL:?the empty database to restore into}"
data="${MADANG_DATA_DIR:-./.madang}"
umask 077
[ "$(psql -XAtq "$DATABASE_URL" -c "select count(*) from pg_namespace where nspname = 'participation'")" = 0 ] ||
    { echo "there is a Madang in this database: restore into an empty one" >&2; exit 1; }
[ ! -e "$data/objects" ] || [ -z "$(ls -A "$data/objects")" ] ||
    { echo "$data/objects is not empty: restore beside it, or move it away" >&2; exit 1; }
[ -s "$backup.objects.tar.age" ] || { echo "$backup.objects.tar.age is missing" >&2; exit 1; }

mkdir -p "$data/objects"
work="$(mktemp -d "$data/.restoring.XXXXXX")"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# Whole before anything is touched: age says at the end whether it was.
age -d -i "$identity" -o "$work/objects.tar" "$backup.objects.tar.age"
age -d -i "$identity" -o "$work/database" "$backup.database.age"
tar -C "$data/objects" -xf "$work/objects.tar"
# One transaction: all of it or nothing.
pg_restore --no-owner --no-privileges --exit-on-error --single-transaction --dbname="$DATABASE_URL" "$work/database"
# Whatever database this is: it has not lived here. And its tables are looked through at once.
psql -XAtq "$DATABASE_URL" -v ON_ERROR_STOP=1 \
    -c 'set client_min_messages = warning' \
    -c 'alter table participation.epoch add column if not exists origin text' \
    -c "update participation.epoch set origin = 'restored'" \
    -c 'analyze'
echo "restored; now: madang restored"

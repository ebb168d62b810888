#!/usr/bin/env bash
# Loses a server, and restores it: from a dump, and from the log of PostgreSQL up to the last minute. Throwaway servers in a
# temporary folder; needs age and the programs of PostgreSQL.
#
#   drill.sh MADANG [CUSTOMERS]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
madang="$1"
customers="${2:-500}"
bin="$(dirname "$(readlink -f "$(command -v pg_ctl || ls -d /usr/lib/postgresql/*/bin/pg_ctl | sort -V | tail -n 1)")")"
PATH="$bin:$PATH"
unset DATABASE_URL REDIS_URL
work="$(mktemp -d)"
chmod 711 "$work"
# PostgreSQL refuses to run as root.
as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u nobody -- env PATH="$PATH" "$@"; else "$@"; fi; }
own() { if [ "$(id -u)" = 0 ]; then chown -R nobody "$@"; fi; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
say() { printf '\n-- %s (%s s)\n' "$1" "$SECONDS"; }
fail() { printf 'FAILED: %s\n' "$1" >&2; exit 1; }
same() { [ "$1" = "$2" ] || fail "$3: $1 and $2"; }

server=""
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    for data in "$work"/pg-*; do
        [ ! -f "$data/postmaster.pid" ] || as_postgres pg_ctl -D "$data" -m immediate stop >/dev/null 2>&1 || true
    done
    rm -rf "$work"
}
trap cleanup EXIT

postgres() { # name, port
    as_postgres pg_ctl -D "$work/pg-$1" -w -t 120 -l "$work/pg-$1/log" \
        -o "-p $2 -k $work/sockets -c listen_addresses=127.0.0.1" start >/dev/null || { cat "$work/pg-$1/log"; fail "no PostgreSQL"; }
}

serve() { # the server of $DATABASE_URL and $MADANG_DATA_DIR, until `stop`
    MADANG_LISTEN="127.0.0.1:$(free_port)"
    MADANG_ADMIN_LISTEN="127.0.0.1:$(free_port)"
    export MADANG_LISTEN MADANG_ADMIN_LISTEN
    "$madang" serve >"$work/serve.log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        ! curl -fsS "http://$MADANG_LISTEN/readyz" >/dev/null 2>&1 || return 0
        kill -0 "$server" 2>/dev/null || { cat "$work/serve.log"; fail "the server did not start"; }
        sleep 0.1
    done
    fail "the server is not ready"
}
stop() { kill "$server"; wait "$server" || true; server=""; }
demo() { "$madang" demo --url "http://$MADANG_LISTEN" --customers "$1" --seed "$2" >"$work/demo.log" 2>&1 || { cat "$work/demo.log"; fail "the demo"; }; }
count() { psql -XAtq "$DATABASE_URL" -c "select count(*) || '/' || coalesce(md5(string_agg(encode(receipt, 'hex'), ',' order by receipt)), '') from participation.entries"; }

say "a server that archives its log, encrypted"
age-keygen -o "$work/identity" 2>/dev/null
age-keygen -y "$work/identity" >"$work/recipients"
mkdir "$work/pg-first" "$work/wal" "$work/sockets"
age-keygen -o "$work/other" 2>/dev/null
# As in production: PostgreSQL's user reads what it needs, and scripts that it can reach.
mkdir "$work/scripts"
cp "$here"/*.sh "$work/scripts"
chmod 400 "$work/identity" "$work/other"
chmod 644 "$work/recipients"
own "$work/pg-first" "$work/wal" "$work/sockets" "$work/identity" "$work/other"
as_postgres initdb -D "$work/pg-first" -A trust -U postgres -E UTF8 --locale=C.UTF-8 >/dev/null
as_postgres tee -a "$work/pg-first/postgresql.conf" >/dev/null <<CONF
archive_mode = on
archive_timeout = 60
archive_command = '$work/scripts/archive.sh $work/recipients $work/wal %p %f'
CONF
port="$(free_port)"
postgres first "$port"
export DATABASE_URL="postgres://postgres@127.0.0.1:$port/postgres" MADANG_DATA_DIR="$work/data"
serve
demo "$customers" 1

say "a base backup, and a dump while the server serves"
base="$("$here/base.sh" "$work/recipients" "$work/bases")"
backup="$("$here/backup.sh" "$work/recipients" "$work/backups")"
then="$(count)"
demo "$customers" 2
now="$(count)"
[ "$then" != "$now" ] || fail "nothing came after the dump"
cp "$work/data/keys.json" "$work/keys.json"
stop

say "what is restored from the dump is refused until it was looked at"
first="$DATABASE_URL"
psql -Xq "$first" -c 'create database restored'
export DATABASE_URL="postgres://postgres@127.0.0.1:$port/restored" MADANG_DATA_DIR="$work/restored"
"$here/restore.sh" "$work/identity" "$backup"
same "$(count)" "$then" "entries of the dump"
! "$here/restore.sh" "$work/identity" "$backup" 2>/dev/null || fail "it was restored over what there is"
! "$madang" restored --check >"$work/keyless.log" 2>&1 || fail "it was fine without its keys"
grep -q 'keys file' "$work/keyless.log" || { cat "$work/keyless.log"; fail "nothing said that the keys are missing"; }
cp "$work/keys.json" "$work/restored/keys.json"
! timeout 60 "$madang" serve >"$work/serve.log" 2>&1 || fail "it was served unseen"
grep -q 'madang restored' "$work/serve.log" || { cat "$work/serve.log"; fail "nothing said what to do"; }
# A look changes nothing, not even who may enter the folder.
chmod 755 "$work/restored"
"$madang" restored --check
same "$(stat -c %a "$work/restored")" 755 "mode of the folder after a look"
"$madang" restored
same "$(stat -c %a "$work/restored")" 700 "mode of the folder"
serve
demo "$customers" 3
stop

say "the machine is lost, the log is not"
export DATABASE_URL="$first"
psql -XAtq "$first" -c 'select pg_switch_wal()' >/dev/null
for _ in $(seq 100); do
    [ "$(psql -XAtq "$first" -c "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'")" != 0 ] || break
    sleep 0.1
done
as_postgres pg_ctl -D "$work/pg-first" -m immediate stop >/dev/null

# from the base, with a key: a second server, which may not come up.
recover() {
    rm -rf "$work/pg-second"
    mkdir -m 700 "$work/pg-second"
    age -d -i "$work/identity" "$base" | tar -C "$work/pg-second" -xf -
    touch "$work/pg-second/recovery.signal"
    own "$work/pg-second"
    printf '%s\n' "archive_mode = off" "restore_command = '$work/scripts/fetch.sh $1 $work/wal %f %p'" |
        as_postgres tee -a "$work/pg-second/postgresql.auto.conf" >/dev/null
    port="$(free_port)"
    as_postgres pg_ctl -D "$work/pg-second" -w -t 120 -l "$work/pg-second/log" \
        -o "-p $port -k $work/sockets -c listen_addresses=127.0.0.1" start >/dev/null 2>&1
}
! recover "$work/other" || fail "it came up with a key that opens nothing"
recover "$work/identity" || { cat "$work/pg-second/log"; fail "no PostgreSQL"; }
# The machine's own folder went with it: keys are kept apart, pictures are those of the dump.
export DATABASE_URL="postgres://postgres@127.0.0.1:$port/postgres" MADANG_DATA_DIR="$work/second"
mkdir -p "$MADANG_DATA_DIR/objects"
cp "$work/keys.json" "$MADANG_DATA_DIR/keys.json"
age -d -i "$work/identity" "$backup.objects.tar.age" | tar -C "$MADANG_DATA_DIR/objects" -xf -
for _ in $(seq 300); do
    [ "$(psql -XAtq "$DATABASE_URL" -c 'select pg_is_in_recovery()')" = t ] || break
    sleep 0.1
done
same "$(count)" "$now" "entries of the log"
"$madang" restored >"$work/restored.log" || { cat "$work/restored.log"; fail "what came from the log is not whole"; }
grep -c MISSING "$work/restored.log" >/dev/null || fail "pictures made after the dump are there, nobody knows from where"
serve
demo "$customers" 4
stop
say "restored twice: nothing of a dump was lost, and nothing at all with the log"

#!/bin/sh
# One encrypted backup: the database and the pictures, never the keys file. See README.md beside this.
#
#   DATABASE_URL=postgres://… MADANG_DATA_DIR=… backup.sh RECIPIENTS FOLDER
#
# RECIPIENTS: file of age public keys (`age-keygen -y`). Who makes backups cannot read them.
set -eu
[ $# -eq 2 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/seal.sh"
recipients="$1"
folder="$2"
: "${DATABASE_URL:?an embedded database is copied with its folder: see README.md}"
case "${DATABASE_URL#*://}" in *:*@*)
    echo "leave the password to ~/.pgpass: the address can be read by every user of this machine" >&2
    exit 1
    ;;
esac
data="${MADANG_DATA_DIR:-./.madang}"
[ ! -d "$data" ] || [ -x "$data" ] || { echo "$data: only Madang's user may enter it; make backups as that user" >&2; exit 1; }
[ -d "$data/objects" ] || { echo "$data/objects: no such folder of pictures (MADANG_DATA_DIR)" >&2; exit 1; }
umask 077
mkdir -p "$folder"
name="madang-$(date -u +%Y%m%dT%H%M%SZ)"
trap 'rm -f "$folder/.$name".*' EXIT
trap 'exit 1' HUP INT TERM

# GNU tar ends with 1 when something was added meanwhile, which is no harm; what is half written is called name#number.
pictures() {
    tar --version | grep -q GNU || { echo "GNU tar is needed" >&2; return 1; }
    tar -C "$data/objects" --exclude='*#*' -cf - . || [ $? -eq 1 ]
}

# The database first: a file never changes and stays for a day after its row went, so that everything the dump names is there
# afterwards.
seal "$recipients" "$folder/.$name.database" \
    pg_dump --format=custom --compress=3 --no-owner --no-privileges --dbname="$DATABASE_URL"
seal "$recipients" "$folder/.$name.objects" pictures
mv "$folder/.$name.objects" "$folder/$name.objects.tar.age"
# Last: where the database is, the backup is whole.
mv "$folder/.$name.database" "$folder/$name.database.age"
echo "$folder/$name"

#!/bin/sh
# One encrypted backup: the database and the pictures, never the keys file. See README.md beside this.
#
#   DATABASE_URL=postgres://… MADANG_DATA_DIR=… backup.sh RECIPIENTS FOLDER
#
# RECIPIENTS: file of age public keys (`age-keygen -y`). Who makes backups cannot read them.
set -eu
recipients="$1"
folder="$2"
: "${DATABASE_URL:?an embedded database is copied with its folder: see README.md}"
data="${MADANG_DATA_DIR:-./.madang}"
umask 077
mkdir -p "$folder"
name="madang-$(date -u +%Y%m%dT%H%M%SZ)"
trap 'rm -f "$folder/.$name".*' EXIT

# A pipe's failure is that of its last command: what fails before it leaves a file without an end.
whole() { # command… : its output encrypted into $to, or nothing
    { "$@" || touch "$folder/.$name.failed"; } | age -R "$recipients" -o "$to"
    [ ! -e "$folder/.$name.failed" ]
}

# GNU tar ends with 1 when something was added meanwhile, which is no harm; what is half written is called name#number.
pictures() {
    tar -C "$data" --exclude='*#*' -cf - objects || [ $? -eq 1 ]
}

# The database first: pictures are never changed or removed, so that everything it names is there afterwards.
to="$folder/.$name.database"
whole pg_dump --format=custom --compress=3 --no-owner --no-privileges --dbname="$DATABASE_URL"
mkdir -p "$data/objects"
to="$folder/.$name.objects"
whole pictures
mv "$folder/.$name.objects" "$folder/$name.objects.tar.age"
# Last: where the database is, the backup is whole.
mv "$folder/.$name.database" "$folder/$name.database.age"
echo "$folder/$name"

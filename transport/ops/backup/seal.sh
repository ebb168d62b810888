# Sourced by the scripts beside it: what a command says, compressed or not, encrypted and on the disk; or nothing.
#
#   seal RECIPIENTS FILE command…
seal() {
    seal_to="$1"
    seal_as="$2"
    shift 2
    rm -f "$seal_as.part" "$seal_as.whole"
    # A pipe ends as its last command does, who takes any end for the whole: so the first one says that it was.
    { "$@" && : >"$seal_as.whole"; } | age -R "$seal_to" -o "$seal_as.part"
    [ -e "$seal_as.whole" ] || { rm -f "$seal_as.part"; echo "$1 failed: no $seal_as" >&2; return 1; }
    rm -f "$seal_as.whole"
    sync "$seal_as.part"
    mv "$seal_as.part" "$seal_as"
}

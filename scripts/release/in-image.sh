#!/bin/sh
# Runs the root of an image as a container runtime does: read-only, as any user, as the first process of its own, with
# one writable folder. PROGRAM is a file below ROOT. For root: unshare --mount sh in-image.sh ROOT DATA USER PROGRAM...
set -eu
root=$1
data=$2
user=$3
program=${4#"$root"}
shift 4
mount --bind "$root" "$root"
mount --bind "$data" "$root/data"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
exec unshare --pid --fork --kill-child --root="$root" --wd=/data --setgid="$user" --setuid="$user" "$program" "$@"

#!/bin/sh
# Runs a command that may change the root of this machine as it likes: it is given one that has its files, as the last
# argument, and what it changes is gone at its end. For root: unshare --mount sh overlay.sh FOLDER COMMAND...
set -eu
folder=$1
shift
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
exec "$@" "$folder/root"

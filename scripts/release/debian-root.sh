#!/bin/sh
# Makes a root of Debian that has systemd. For root: sh debian-root.sh FOLDER
set -eu
debootstrap --variant=minbase --include=systemd-sysv,dbus bookworm "$1"

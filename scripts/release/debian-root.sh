#!/bin/sh
# Makes a root of Debian that has systemd, and nginx with what a site needs. For root: sh debian-root.sh FOLDER
set -eu
debootstrap --variant=minbase --include=systemd-sysv,dbus,nginx-light,openssl,curl bookworm "$1"

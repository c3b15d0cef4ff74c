#!/bin/sh
# Installs, upgrades, removes and purges packages in a root of Debian, and ends with 1 at the first thing that is wrong
# with them. For root, where mounts are its own: unshare --mount sh try-deb.sh OLD.deb NEW.deb ROOT
# The old one has to have another configuration file than the new one.
set -eu
old=$1
new=$2
root=$3
# A root of debootstrap has neither; one that is an overlay shows them empty.
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mkdir -p "$root/tmp/debs"
cp "$old" "$root/tmp/debs/old.deb"
cp "$new" "$root/tmp/debs/new.deb"

inside() {
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
    DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}
install() { inside dpkg --force-unsafe-io --force-confold -i "/tmp/debs/$1.deb" </dev/null; }
# Runs a command as the user of the hub.
as_hub() { inside setpriv --reuid=cinnabar --regid=cinnabar --clear-groups "$@"; }
expect() { # a command that succeeds
  if said=$("$@" 2>&1); then return; fi
  echo "not so: $*: $said" >&2
  exit 1
}
# All files where packages put theirs, but what the package manager and its triggers keep, and all users.
listing() {
  inside find /etc /opt /usr /var -xdev \( -path /var/cache -o -path /var/lib/dpkg -o -path /var/log -o -path /var/tmp \) \
    -prune -o -print | sort
  inside sh -c 'cat /etc/passwd /etc/group /etc/shadow /etc/gshadow'
}
stat_is() { [ "$(inside stat -c '%U:%G %a' "$1")" = "$2" ]; }
version_is() { [ "$(inside dpkg-query -W -f '${Version}' cinnabar)" = "$1" ]; }
holds() { inside grep -q -- "$2" "$1"; }
refuses_without_keys() {
  set +e
  problems=$(inside cinnabar check --config /etc/cinnabar/cinnabar.toml 2>&1)
  code=$?
  set -e
  [ $code = 78 ] && echo "$problems" | grep -q 'publisher.key_file.*cannot be read'
}

# The index of manual pages is not what is tried here, and takes a second each time.
rm -f "$root/var/lib/man-db/auto-update"
listing >"$root/tmp/before"
install old
expect version_is "$(dpkg-deb -f "$old" Version)"
expect stat_is /etc/cinnabar 'root:cinnabar 2750'
expect stat_is /var/lib/cinnabar 'cinnabar:cinnabar 750'
expect inside test -s /usr/share/man/man1/cinnabar.1.gz
expect inside bash -n /usr/share/bash-completion/completions/cinnabar
expect inside cinnabar version
expect refuses_without_keys

# As the comments of the configuration say.
expect inside cinnabar init /etc/cinnabar/cinnabar.toml --keys
expect stat_is /etc/cinnabar/publisher.key 'root:cinnabar 640'
expect as_hub cinnabar check --config /etc/cinnabar/cinnabar.toml
inside sh -c 'echo "# a local change" >>/etc/cinnabar/cinnabar.toml'
as_hub touch /var/lib/cinnabar/cinnabar.db

install new
expect version_is "$(dpkg-deb -f "$new" Version)"
expect holds /etc/cinnabar/cinnabar.toml '# a local change'
expect inside test -e /etc/cinnabar/cinnabar.toml.dpkg-dist
expect stat_is /etc/cinnabar 'root:cinnabar 2750'
expect inside test -e /etc/cinnabar/publisher.key
expect inside test -e /var/lib/cinnabar/cinnabar.db
if inside sh -c 'command -v systemd-analyze' >/dev/null; then
  # It also complains about whatever else is wrong on this machine.
  complaints=$(inside systemd-analyze verify --man=no cinnabar.service 2>&1 | grep -i cinnabar || true)
  expect test -z "$complaints"
  exposure=$(inside systemd-analyze security --offline=true /usr/lib/systemd/system/cinnabar.service | tail -n 1)
  echo "$exposure"
  expect test "$(echo "$exposure" | sed 's/.*: \([0-9]*\)\.\([0-9]\).*/\1\2/')" -lt 25
else echo 'the unit is not looked at: there is no systemd-analyze' >&2
fi

inside dpkg --remove cinnabar
expect inside test ! -e /usr/bin/cinnabar
expect inside test -e /etc/cinnabar/publisher.key
expect inside test -e /var/lib/cinnabar/cinnabar.db
inside dpkg --purge cinnabar
listing >"$root/tmp/after"
if ! diff "$root/tmp/before" "$root/tmp/after" >&2; then
  echo 'not so: the purge leaves everything as it was' >&2
  exit 1
fi
echo 'the package installs, upgrades and goes as it should'

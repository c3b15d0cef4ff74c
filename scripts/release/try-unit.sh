#!/bin/sh
# Boots a root of Debian that has systemd, installs the package in it, and runs its service as an administrator would.
# Ends with 1 at the first thing that is wrong. For root: sh try-unit.sh NEW.deb ROOT
set -eu
deb=$1
root=$2
cp "$deb" "$root/cinnabar.deb"
chroot "$root" dpkg --force-unsafe-io -i /cinnabar.deb
cp deploy/nginx/cinnabar.conf "$root/etc/nginx/conf.d/"

cat >"$root/trial.sh" <<'TRIAL'
set -eu
exec >/trial.log 2>&1
end() { systemctl poweroff; }
trap end EXIT
show() { systemctl show cinnabar --property "$1" --value; }
is() { if [ "$(show "$1")" != "$2" ]; then echo "$1 is $(show "$1") and not $2"; exit 1; fi; }
# A condition of the manager that takes a moment.
soon() { left=300; until "$@" >/dev/null 2>&1; do left=$((left - 1)); [ $left -gt 0 ]; sleep 0.1; done; }
config=/etc/cinnabar/cinnabar.toml

echo 'without keys it says which file it misses, and is not started again and again'
systemctl start cinnabar || true
soon sh -c 'test "$(systemctl show cinnabar --property ActiveState --value)" = failed'
is ExecMainStatus 78
is NRestarts 0
journalctl --unit cinnabar --output cat | grep 'publisher.key_file.*cannot be read'

echo 'with keys it serves'
cd /etc/cinnabar
cinnabar init $config --keys
test "$(stat -c '%U:%G %a' publisher.key)" = 'root:cinnabar 640'
cinnabar check
# There is no proxy here.
sed -i 's|^public_urls = .*|public_urls = ["http://127.0.0.1:3000"]|' $config
systemctl enable --now cinnabar
is ActiveState active
# The manager has waited for the hub.
cinnabar health --config $config
is WatchdogUSec 30s
show StatusText | grep 'subscribers, history 0 updates'
mint() { cinnabar token --config $config "$@"; }
token=$(mint --publish '*')
publish() { cinnabar publish --token "$token" https://example.com/1 --data "$1"; }
publish one
grep '^NoNewPrivs:.*1$' "/proc/$(show MainPID)/status"
grep '^CapEff:.*0000000000000000$' "/proc/$(show MainPID)/status"

echo 'a reload cuts nothing and takes the new configuration'
cinnabar subscribe --token "$(mint --subscribe '*')" --last-event-id earliest --limit 2 https://example.com/1 >/events &
reader=$!
soon grep '^data:' /events
sed -i 's/^# anonymous = true/anonymous = true/' $config
systemctl reload cinnabar
soon sh -c "journalctl --unit cinnabar --output cat | grep 'configuration reloaded'"
soon sh -c 'test "$(systemctl show cinnabar --property SubState --value)" = running'

echo 'killed, it comes back, with its history'
kill -9 "$(show MainPID)"
soon sh -c 'test "$(systemctl show cinnabar --property NRestarts --value)" = 1'
soon sh -c 'test "$(systemctl show cinnabar --property ActiveState --value)" = active'
cinnabar health --config $config
publish two
wait $reader
test "$(grep -c '^data:' /events)" = 2

echo 'a hub that stands still is killed and started again, and one that works is not'
mkdir -p /etc/systemd/system/cinnabar.service.d
printf '[Service]\nWatchdogSec=2s\n' >/etc/systemd/system/cinnabar.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart cinnabar
working=$(show MainPID)
sleep 6 # three periods: that nothing happens has no end to wait for
is MainPID "$working"
kill -STOP "$working"
soon sh -c 'test "$(systemctl show cinnabar --property NRestarts --value)" = 1'
soon sh -c 'test "$(systemctl show cinnabar --property ActiveState --value)" = active'
test "$(show MainPID)" != "$working"
journalctl --unit cinnabar --output cat | grep 'Watchdog timeout'
rm /etc/systemd/system/cinnabar.service.d/watchdog.conf
systemctl daemon-reload

echo 'behind nginx with TLS it serves a reader with a cookie, as the page has it'
sed -i 's|^public_urls = .*|public_urls = ["https://hub.example.com"]|' $config
cinnabar check
systemctl restart cinnabar
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hub.example.com \
  -addext subjectAltName=DNS:hub.example.com -keyout /etc/ssl/hub.example.com.key -out /etc/ssl/hub.example.com.crt
echo '127.0.0.1 hub.example.com' >>/etc/hosts
systemctl restart nginx
url=https://hub.example.com/.well-known/mercure
ask() { curl --silent --fail --no-buffer --cacert /etc/ssl/hub.example.com.crt "$@"; }
ask --cookie "__Secure-mercure_access_token=$(mint --subscribe '*')" "$url?match=https://example.com/1" >/page &
page=$!
soon grep '^:' /page
ask -H "Authorization: Bearer $(mint --publish '*')" -d topic=https://example.com/1 -d data=behind -d private=on "$url"
soon grep '^data: *behind$' /page
kill $page
cinnabar doctor "$url" --config $config --ca-file /etc/ssl/hub.example.com.crt
sed -i 's|^public_urls = .*|public_urls = ["http://127.0.0.1:3000"]|' $config

echo 'a key that only root can read comes as a credential'
mkdir -p /etc/systemd/system/cinnabar.service.d
cp /usr/share/doc/cinnabar/examples/credentials.conf /etc/systemd/system/cinnabar.service.d/
chown root:root /etc/cinnabar/*.key
chmod 600 /etc/cinnabar/*.key
systemctl daemon-reload
systemctl restart cinnabar
is ActiveState active
cinnabar health --config $config
publish three

echo 'it stops by itself'
systemctl stop cinnabar
is Result success
is ExecMainStatus 0

echo 'an upgrade restarts what runs, and a purge stops it'
systemctl start cinnabar
before=$(show MainPID)
dpkg --force-unsafe-io -i /cinnabar.deb
is ActiveState active
test "$(show MainPID)" != "$before"
cinnabar health --config $config
rm -r /etc/systemd/system/cinnabar.service.d
dpkg --purge cinnabar
is ActiveState inactive
test -z "$(ls -d /etc/cinnabar /var/lib/cinnabar /etc/systemd/system/*.wants/cinnabar.service 2>/dev/null)"
if getent passwd cinnabar; then exit 1; fi
echo 'the unit works'
TRIAL
cat >"$root/etc/systemd/system/trial.service" <<'UNIT'
[Unit]
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/bin/sh /trial.sh
UNIT
mkdir -p "$root/etc/systemd/system/default.target.wants"
ln -sf ../trial.service "$root/etc/systemd/system/default.target.wants/trial.service"
timeout 180 systemd-nspawn --directory="$root" --register=no --keep-unit --private-network --boot >"$root/boot.log" 2>&1 || true
cat "$root/trial.log"
if ! grep -q '^the unit works$' "$root/trial.log"; then
  chroot "$root" journalctl --directory=/var/log/journal --unit cinnabar --output cat 2>/dev/null | tail -n 20 >&2 || true
  exit 1
fi

#!/bin/sh
# Starts a hub, publishes, gets it back live and from its history, asks for its health, and stops it. Ends with 1 when
# any of that goes wrong. CLIENT is an executable of this machine, HUB... the command that runs the one that is tried:
#   sh smoke.sh CLIENT HUB...
set -eu
# What is configured on this machine is not part of it.
export CINNABAR_CONFIG=
client=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
key=0123456789abcdef0123456789abcdef
audience=https://hub.example/.well-known/mercure
issuer=https://example.com
topic=https://example.com/smoke

"$@" version
"$@" serve --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-format json --hub-anonymous --shutdown-drain 0 \
  --hub-resource-identifier "$audience" --issuers-0-id "$issuer" --issuers-0-publisher-key "$key" \
  --issuers-0-publisher-algorithm HS256 --sqlite-path "${SMOKE_DATA:-$folder}/cinnabar.db" 2>"$folder/log" &
process=$!
fail() {
  echo "$1" >&2
  cat "$folder/log" >&2
  kill -9 "$process" 2>/dev/null || true
  exit 1
}
wait_for() { # what is waited for, then a command that succeeds
  what=$1
  shift
  left=600
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    if [ "$left" = 0 ] || ! kill -0 "$process" 2>/dev/null; then fail "$what: in vain"; fi
    sleep 0.1
  done
}
field() { sed -n "s/.*\"message\":\"listening\".*\"$1\":\"\([^\"]*\)\".*/\1/p" "$folder/log"; }
has_lines() { [ "$(wc -l <"$folder/events")" -ge "$1" ]; }

wait_for 'the hub listens' grep -q '"listening"' "$folder/log"
hub=$(field addresses)
"$client" health --url "$(field admin)"
token=$("$client" token --key "$key" --alg HS256 --iss "$issuer" --aud "$audience" --publish '*')
publish() { "$client" publish --hub "$hub" --token "$token" "$topic" --data "$1"; }

publish past
"$client" subscribe --hub "$hub" --last-event-id earliest --limit 2 --json "$topic" >"$folder/events" &
reader=$!
wait_for 'the past' has_lines 1
publish live
wait "$reader"
for data in past live; do grep -q "\"data\":\"$data\"" "$folder/events" || fail "$data has not come"; done

# Behind a program that runs it in a process of its own, the signal is for that one.
inner=$(cat "/proc/$process/task/$process/children" 2>/dev/null || true)
# shellcheck disable=SC2086 # one word per process
kill -TERM ${inner:-$process}
wait "$process" || fail 'it has not ended with 0'
grep -q '"stopped"' "$folder/log" || fail 'it has not stopped by itself'

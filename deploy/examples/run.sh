#!/usr/bin/env bash
# Runs every example against a server of its own, twice, and checks the answers.
# TOCSIN is the binary; the NATS client is built into bin/ where it is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
TOCSIN=${TOCSIN:-$PWD/bin/tocsin}
NATSCLI=github.com/nats-io/natscli@v0.3.0

work=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
fail() {
	echo "examples: $*" >&2
	sed 's/^/server: /' "$work/server.log" >&2 || true
	exit 1
}

# Built in a copy of its module, with the versions that its own go.sum has.
export PATH="$PWD/bin:$PATH"
if ! command -v nats >/dev/null; then
	echo "building the NATS client"
	dir=$(cd "$work" && go mod download -json "$NATSCLI" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
	cp -r "$dir" "$work/natscli" && chmod -R u+w "$work/natscli"
	(cd "$work/natscli" && CGO_ENABLED=0 go build -buildvcs=false -trimpath -o nats.built ./nats)
	mkdir -p bin && mv "$work/natscli/nats.built" bin/nats
fi
(cd deploy/examples/javascript && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)

"$TOCSIN" serve --data "$work/data" --nats-listen 127.0.0.1:0 --http-listen 127.0.0.1:0 2>"$work/server.log" &
server=$!
for _ in $(seq 100); do
	grep -q '^ready$' "$work/server.log" && break
	kill -0 "$server" 2>/dev/null || fail "the server ended"
	sleep 0.1
done
export TOCSIN_SERVER NATS_URL TOCSIN_HTTP
TOCSIN_SERVER=$(awk '$1 == "NATS" {print $2}' "$work/server.log")
NATS_URL=$TOCSIN_SERVER
TOCSIN_HTTP=$(awk '$1 == "HTTP" {sub("/v1/reports$", "", $2); print $2}' "$work/server.log")
[ -n "$TOCSIN_SERVER" ] && [ -n "$TOCSIN_HTTP" ] || fail "the server is not ready"

# try NAME WANT COMMAND…: runs an example and compares the states of its receipts.
try() {
	local name=$1 want=$2 got
	shift 2
	printf '\n== %s\n' "$name"
	"$@" | tee "$work/out" || fail "$name failed"
	got=$(grep -o '"status":"[a-z]*"' "$work/out" | cut -d'"' -f4 | xargs)
	[ "$got" = "$want" ] || fail "$name: got $got, want $want"
}
cd deploy/examples
try curl.sh "accepted duplicate accepted accepted accepted rejected" ./curl.sh
grep -q '^# HTTP 400, application/problem+json$' "$work/out" || fail "curl.sh: the refusal is not a problem"
try nats.sh "accepted duplicate accepted" ./nats.sh
try javascript/report.js "accepted" node javascript/report.js
printf '\n==== once more: only duplicates\n'
try curl.sh "duplicate duplicate duplicate duplicate duplicate rejected" ./curl.sh
try nats.sh "duplicate duplicate duplicate" ./nats.sh
try javascript/report.js "duplicate" node javascript/report.js

# told OPERATOR DESKS…: waits until exactly these desks are told.
told() {
	local operator=$1 want=$2 got
	for _ in $(seq 50); do
		got=$("$TOCSIN" log query --operator "$operator" --json | sed -n 's/^{"escalation":"\([a-z-]*\)\..*/\1/p' | sort | xargs)
		[ "$got" = "$want" ] && echo "$operator: ${got:-nobody}" && return
		sleep 0.1
	done
	fail "$operator: told ${got:-nobody}; want $want"
}
printf '\n==== who was told\n'
told city-clinic ""
told grid-east "protection-energy protection-energy sh-cyberspace sh-public-security sh-public-security"
told metro-pay "gd-public-security national-cyberspace national-public-security protection-finance"
told ministry-portal "ministry-cyberspace-office"
told xj-hydro "national-cyberspace national-public-security protection-water urumqi-cyberspace xj-cyberspace xj-public-security"

printf '\n== tocsin desk watch protection-finance\n'
"$TOCSIN" desk watch protection-finance --count 1
printf '\nexamples: every answer is as it should be\n'

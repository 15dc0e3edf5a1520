#!/bin/sh
# Reports over NATS with its command-line client (nats): structured and binary.
# NATS_URL is the server.
set -eu
cd "$(dirname "$0")"
NATS_URL=${NATS_URL:-nats://127.0.0.1:4222}
export NATS_URL

# The client would take {{ in a body for a template; grep leaves out the empty
# lines that it adds, and fails when there is no answer.
report() { nats request --raw --no-templates "$@" | grep .; }

echo "# structured: the whole event is the message"
report report.metro-pay -H 'Content-Type:application/cloudevents+json' "$(cat reports/major.json)"

echo "# the same again: the receipt of the first, and nothing new is stored"
report report.metro-pay -H 'Content-Type:application/cloudevents+json' "$(cat reports/major.json)"

# In binary mode the attributes are headers, in ASCII: what is not (and space,
# double quote and percent) is percent-encoded as UTF-8. This incident is 调度-1103.
echo "# binary: attributes in headers, the message is the data"
report report.grid-east \
	-H 'ce-specversion:1.0' \
	-H 'ce-type:tocsin.report.initial.v1' \
	-H 'ce-source:urn:tocsin:operator:grid-east' \
	-H 'ce-id:dispatch-2025-11-03-1' \
	-H 'ce-subject:%E8%B0%83%E5%BA%A6-1103' \
	-H 'Content-Type:application/json' \
	'{
	  "facilities": ["dispatch"],
	  "discoveredAt": "2025-11-03T15:10:00+08:00",
	  "kind": "facility-fault",
	  "title": "调度系统整体中断十二分钟",
	  "containsNoStateSecrets": true,
	  "facts": {"outage": [{"scope": "overall", "duration": "PT12M"}]}
	}'

#!/bin/sh
# Reports over HTTP: structured, binary and batch, and one that is refused.
# TOCSIN_HTTP is the server, without a path.
set -eu
cd "$(dirname "$0")"
url=${TOCSIN_HTTP:-http://127.0.0.1:8080}/v1/reports

echo "# structured: the whole event is the body"
curl -sS "$url" -H 'Content-Type: application/cloudevents+json' --data-binary @reports/general.json

echo "# the same again: the receipt of the first, and nothing new is stored"
curl -sS "$url" -H 'Content-Type: application/cloudevents+json' --data-binary @reports/general.json

# In binary mode the attributes are headers, in ASCII: what is not (and space,
# double quote and percent) is percent-encoded as UTF-8. This incident is 门户-1103.
echo "# binary: attributes in headers, the body is the data"
curl -sS "$url" \
	-H 'ce-specversion: 1.0' \
	-H 'ce-type: tocsin.report.initial.v1' \
	-H 'ce-source: urn:tocsin:operator:ministry-portal' \
	-H 'ce-id: portal-2025-11-03-1' \
	-H 'ce-subject: %E9%97%A8%E6%88%B7-1103' \
	-H 'Content-Type: application/json' \
	--data-binary @- <<-END
		{
		  "facilities": ["portal"],
		  "discoveredAt": "2025-11-03T08:40:00+08:00",
		  "kind": "facility-fault",
		  "title": "门户网站无法访问三小时",
		  "containsNoStateSecrets": true,
		  "facts": {"siteUnreachable": {"owner": "party-government", "level": "central", "duration": "PT3H"}}
		}
	END

echo "# batch: a JSON array in, one receipt for each event out, in order"
{
	printf '['
	cat reports/relatively-large.json
	printf ','
	cat reports/especially-grave.json
	printf ']'
} | curl -sS "$url" -H 'Content-Type: application/cloudevents-batch+json' --data-binary @-

echo "# refused: every fault at once, as application/problem+json"
curl -sS -w '# HTTP %{http_code}, %{content_type}\n' "$url" \
	-H 'Content-Type: application/cloudevents+json' --data-binary @reports/refused.json

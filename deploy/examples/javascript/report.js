// Sends a report over NATS in the binary mode of CloudEvents and prints the
// receipt: node report.js [FILE]. NATS_URL is the server.
import { readFile } from "node:fs/promises";
import { connect, headers } from "@nats-io/transport-node";

const file = process.argv[2] ?? new URL("../reports/threat.json", import.meta.url);
const { data, datacontenttype, ...attributes } = JSON.parse(await readFile(file, "utf8"));

// The NATS binding of CloudEvents: header values are printable ASCII; anything
// else, and space, double quote and percent, is percent-encoded as UTF-8.
const encode = (value) => String(value).replace(/[^\x21-\x7e]|["%]/gu, encodeURIComponent);

const message = headers();
message.set("Content-Type", datacontenttype ?? "application/json");
for (const [name, value] of Object.entries(attributes)) {
  message.set(`ce-${name}`, encode(value));
}

// The operator is the last token of the subject, as it is the last segment of
// the source: urn:tocsin:operator:grid-east.
const operator = attributes.source.split(/[:/]/).pop();

const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222" });
try {
  // Without a receipt the outcome is not known: send the same report again, with
  // the same id, as often as it takes.
  const answer = await nc.request(`report.${operator}`, JSON.stringify(data), { headers: message, timeout: 5000 });
  const trouble = answer.headers?.get("Nats-Service-Error");
  if (trouble) throw new Error(trouble);
  const receipt = answer.json();
  console.log(JSON.stringify(receipt));
  if (receipt.status !== "accepted" && receipt.status !== "duplicate") process.exitCode = 1;
} finally {
  await nc.drain();
}

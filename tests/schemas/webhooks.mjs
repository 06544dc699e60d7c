// Checks webhooks against GitHub's schemas: node webhooks.mjs RECORDED.json
// RECORDED is a list of {event, action, payload}; `action` is null where the event has none.
// Prints one line for each fault; ends with 1 if there are any.

import { readFileSync } from "node:fs";
import Ajv from "ajv";
import addFormats from "ajv-formats";

const text = new URL("node_modules/@octokit/webhooks-schemas/schema.json", import.meta.url);
const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
addFormats(ajv);
const schema = JSON.parse(readFileSync(text, "utf8"));
ajv.addSchema(schema, "github");

const recorded = JSON.parse(readFileSync(process.argv[2], "utf8"));
const faults = [];
for (const { event, action, payload } of recorded) {
  const name = `${event}$${action ?? "event"}`;
  if (!schema.definitions[name]) {
    faults.push(`${name} is no event of GitHub's`);
    continue;
  }
  const check = ajv.getSchema(`github#/definitions/${name}`);
  if (!check(payload)) {
    for (const e of check.errors) faults.push(`${name}: ${e.instancePath} ${e.message}`);
  }
  if (action && payload.action !== action) faults.push(`${name}: its action is ${payload.action}`);
}
for (const fault of faults) console.log(fault);
console.log(`${recorded.length} webhooks, ${faults.length} faults`);
// Not `exit`, which would cut off what is still to be written.
process.exitCode = faults.length || !recorded.length ? 1 : 0;

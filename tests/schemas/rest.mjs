// Checks REST requests and their answers against GitHub's OpenAPI description: node rest.mjs RECORDED.json
// RECORDED is a list of {method, path, request, status, answer}; `path` is as sent, with its query.
// Prints one line for each fault, then which operations were seen; ends with 1 if there are faults.

import { readFileSync } from "node:fs";
import Ajv from "ajv";
import addFormats from "ajv-formats";

const text = readFileSync(new URL("api.github.com.json", import.meta.url), "utf8");
const api = JSON.parse(text);
const faults = new Set();

// OpenAPI 3.0 says `nullable`, JSON Schema a type or an alternative.
function nullable(node) {
  if (Array.isArray(node)) return node.map(nullable);
  if (!node || typeof node !== "object") return node;
  const { nullable: may, example, examples, discriminator, ...rest } = node;
  const out = Object.fromEntries(Object.entries(rest).map(([k, v]) => [k, k === "enum" ? v : nullable(v)]));
  // A property may itself be called so.
  for (const [name, v] of Object.entries({ nullable: may, example, examples, discriminator })) {
    if (v && typeof v === "object" && (v.type || v.$ref)) out[name] = nullable(v);
  }
  if (may !== true) return out;
  if (typeof out.type === "string") {
    if (out.enum && !out.enum.includes(null)) out.enum = [...out.enum, null];
    if (!out.allOf && !out.anyOf && !out.oneOf) return { ...out, type: [out.type, "null"] };
  }
  return { anyOf: [{ type: "null" }, out] };
}

const described = { components: { schemas: nullable(api.components.schemas) } };
const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false, logger: false });
addFormats(ajv);
ajv.addSchema(described, "github");
const compiled = new Map();

// Names are resolved against the whole description.
function rooted(node) {
  if (Array.isArray(node)) return node.map(rooted);
  if (!node || typeof node !== "object") return node;
  return Object.fromEntries(
    Object.entries(node).map(([k, v]) => [k, k === "$ref" && typeof v === "string" ? `github${v}` : rooted(v)]),
  );
}

// What the description says too narrowly. A deleted fork is null, as GitHub's schemas for webhooks say.
const beyond = [/^\w+ \S+\/pulls\S* 20\d: (\/\*)?\/head\/repo must be object$/];

function validate(where, schema, value) {
  if (!compiled.has(schema)) compiled.set(schema, ajv.compile(rooted(nullable(schema))));
  const check = compiled.get(schema);
  if (!check(value)) {
    // Of alternatives, one word is enough: which of them was meant nobody knows.
    const alternatives = check.errors.filter((e) => ["anyOf", "oneOf"].includes(e.keyword));
    const inner = (e) => alternatives.some((a) => a !== e && e.schemaPath.startsWith(`${a.schemaPath}/`));
    for (const e of check.errors.filter((e) => !inner(e))) {
      const at = e.instancePath.replace(/\/\d+(?=\/|$)/g, "/*");
      const fault = `${where}: ${at} ${e.message} ${e.params.allowedValues ?? ""}`.trim();
      if (!beyond.some((known) => known.test(fault))) faults.add(fault);
    }
  }
}

// Fields that the description does not have: whoever reads them reads what GitHub never writes.
function unknown(where, schemas, value, at) {
  if (!value || typeof value !== "object") return;
  const all = schemas.flatMap(flat);
  if (Array.isArray(value)) {
    const items = all.map((s) => s.items).filter(Boolean);
    if (items.length) value.forEach((v) => unknown(where, items, v, `${at}/*`));
    return;
  }
  // An object that names no fields, or lets others in, may hold anything.
  const objects = all.filter((s) => s.type === "object" || s.properties || s.additionalProperties);
  const open = (s) => s.additionalProperties || (!s.properties && s.additionalProperties !== false);
  if (!objects.length || objects.some(open)) return;
  for (const [name, v] of Object.entries(value)) {
    const known = objects.map((s) => s.properties?.[name]).filter(Boolean);
    if (known.length) unknown(where, known, v, `${at}/${name}`);
    else faults.add(`${where}: ${at}/${name} is not in the description`);
  }
}

const deref = (node) => (node?.$ref ? deref(node.$ref.slice(2).split("/").reduce((at, k) => at[k], api)) : node);

function flat(schema) {
  const s = deref(schema);
  const parts = [...(s.anyOf ?? []), ...(s.oneOf ?? []), ...(s.allOf ?? [])].flatMap(flat);
  return s.properties || s.items || s.additionalProperties || !parts.length ? [s, ...parts] : parts;
}

// Literal segments go before parameters. `{path}` may hold slashes.
const templates = Object.keys(api.paths).map((template) => {
  const parts = template.split("/").map((part) => {
    if (/^\{path\}$/.test(part)) return "(.+)";
    return part.startsWith("{") ? "([^/]+)" : part.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  });
  return { template, pattern: new RegExp(`^${parts.join("/")}$`), literal: template.split("/").filter((part) => !part.includes("{")).length };
});

function operation(method, path) {
  // What has a new name is reached by its number: redirects and links lead there, and mean the same.
  const named = path.replace(/^\/repositories\/\d+/, "/repos/owner/name");
  const fits = templates.filter((t) => t.pattern.test(named) && api.paths[t.template][method.toLowerCase()]);
  fits.sort((a, b) => b.literal - a.literal);
  return fits[0] && { template: fits[0].template, ...api.paths[fits[0].template][method.toLowerCase()], shared: api.paths[fits[0].template].parameters };
}

function parameters(where, op, query) {
  const known = [...(op.parameters ?? []), ...(op.shared ?? [])].map(deref).filter((p) => p.in === "query");
  for (const [name, value] of query) {
    const parameter = known.find((p) => p.name === name);
    if (!parameter) {
      faults.add(`${where}: the query's ${name} is not in the description`);
      continue;
    }
    const schema = deref(parameter.schema);
    const typed = ["integer", "number"].includes(schema.type) ? Number(value) : schema.type === "boolean" ? value === "true" : value;
    validate(`${where}: the query's ${name}`, parameter.schema, typed);
  }
  for (const p of known.filter((p) => p.required && !query.has(p.name))) {
    faults.add(`${where}: the query lacks ${p.name}`);
  }
}

function body(where, op, request) {
  const wanted = deref(op.requestBody);
  const schema = wanted?.content?.["application/json"]?.schema;
  const sent = request !== null && request !== undefined;
  if (sent && !schema) faults.add(`${where}: a body that is not in the description`);
  if (!sent && wanted?.required) faults.add(`${where}: the body is missing`);
  if (sent && schema) {
    validate(`${where} request`, schema, request);
    unknown(`${where} request`, [schema], request, "");
  }
}

function answer(where, op, { status, answer: said }) {
  const response = deref(op.responses[status]);
  const json = Object.entries(response?.content ?? {}).find(([kind]) => /^application\/.*json/.test(kind))?.[1]?.schema;
  if (status === 304 || status === 204) {
    if (said !== null) faults.add(`${where}: a body with ${status}`);
    if (status === 204 && !response) faults.add(`${where}: 204 is not in the description`);
  } else if (json) {
    validate(`${where} ${status}`, json, said);
    // Every refusal says its status as well, whether the description of its kind has that or not.
    if (status < 400) unknown(`${where} ${status}`, [json], said, "");
  } else if (status < 300) {
    if (!response) faults.add(`${where}: ${status} is not in the description`);
    else if (said !== null) faults.add(`${where}: a body with ${status}, where none is described`);
  } else if (status >= 400) {
    // Refusals that stand at no single operation (a bad token, a spent hour) look alike everywhere.
    validate(`${where} ${status}`, { $ref: "#/components/schemas/basic-error" }, said);
  }
}

const recorded = JSON.parse(readFileSync(process.argv[2], "utf8"));
const seen = new Map();
for (const exchange of recorded) {
  const [path, query = ""] = exchange.path.split("?");
  const op = operation(exchange.method, path);
  if (!op) {
    faults.add(`${exchange.method} ${path} is no operation of GitHub's`);
    continue;
  }
  const where = `${exchange.method} ${op.template}`;
  seen.set(where, new Set([...(seen.get(where) ?? []), exchange.status]));
  // What was refused may have been wrong on purpose.
  if (exchange.status < 400) {
    parameters(where, op, new URLSearchParams(query));
    body(where, op, exchange.request);
  }
  answer(where, op, exchange);
}
const lines = [...faults, ...[...seen].sort().map(([where, all]) => `seen: ${where} ${[...all].sort().join(" ")}`)];
console.log([...lines, `${recorded.length} exchanges of ${seen.size} operations, ${faults.size} faults`].join("\n"));
// Not `exit`, which would cut off what is still to be written.
process.exitCode = faults.size || !recorded.length ? 1 : 0;

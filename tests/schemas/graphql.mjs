// Checks queries and their answers against GitHub's GraphQL schema: node graphql.mjs RECORDED.json
// RECORDED is a list of {query, variables, answer}. Prints one line for each fault; ends with 1 if there are any.

import { readFileSync } from "node:fs";
import * as g from "graphql";

const text = new URL("node_modules/@octokit/graphql-schema/schema.graphql", import.meta.url);
// The published text names some fields twice.
const schema = g.buildSchema(readFileSync(text, "utf8"), { assumeValidSDL: true });
const faults = new Set();

// What of a query stands in an answer: every field of every selection that fits the object's type.
function collect(type, selections, fragments, into) {
  for (const pick of selections) {
    if (pick.kind === "Field") {
      const name = pick.alias?.value ?? pick.name.value;
      const there = into.get(name);
      into.set(name, { node: pick, sets: [...(there?.sets ?? []), ...(pick.selectionSet?.selections ?? [])] });
    } else {
      const on = pick.kind === "FragmentSpread" ? fragments[pick.name.value] : pick;
      const wanted = schema.getType(on.typeCondition.name.value);
      if (wanted === type || (g.isAbstractType(wanted) && schema.isSubType(wanted, type))) {
        collect(type, on.selectionSet.selections, fragments, into);
      }
    }
  }
  return into;
}

function check(value, type, sets, fragments, path, nulled) {
  if (g.isNonNullType(type)) {
    if (value === null || value === undefined) {
      if (!nulled(path)) faults.add(`${path.join(".")} is null, the schema says ${type}`);
      return;
    }
    return check(value, type.ofType, sets, fragments, path, nulled);
  }
  if (value === null) return;
  if (value === undefined) return void faults.add(`${path.join(".")} is missing`);
  if (g.isListType(type)) {
    if (!Array.isArray(value)) return void faults.add(`${path.join(".")} is no list`);
    return value.forEach((v, i) => check(v, type.ofType, sets, fragments, [...path, i], nulled));
  }
  if (g.isLeafType(type)) return leaf(value, type, path);
  if (typeof value !== "object") return void faults.add(`${path.join(".")} is no ${type}`);
  const concrete = g.isAbstractType(type) ? guess(value, type, sets) : type;
  if (!concrete) return;
  const fields = collect(concrete, sets, fragments, new Map());
  for (const name of Object.keys(value)) {
    if (!fields.has(name)) faults.add(`${path.join(".")}.${name} was not asked for`);
  }
  for (const [name, { node, sets: inner }] of fields) {
    if (node.name.value === "__typename") {
      if (value[name] !== concrete.name) faults.add(`${path.join(".")}.__typename is ${value[name]}`);
      continue;
    }
    const field = concrete.getFields()[node.name.value];
    check(value[name], field.type, inner, fragments, [...path, name], nulled);
  }
}

// An object behind a union or an interface tells its type, or there is but one that the query asks for.
function guess(value, type, sets) {
  if (value.__typename) return schema.getType(value.__typename);
  const inline = sets.filter((s) => s.kind === "InlineFragment").map((s) => schema.getType(s.typeCondition.name.value));
  if (Object.keys(value).length === 0) return null;
  return inline.length ? inline[0] : type;
}

function leaf(value, type, path) {
  const wrong = () => faults.add(`${path.join(".")} is ${JSON.stringify(value)}, no ${type}`);
  if (g.isEnumType(type)) return type.getValue(value) ? undefined : wrong();
  const kinds = { Int: "number", Float: "number", Boolean: "boolean" };
  const kind = kinds[type.name] ?? "string";
  if (typeof value !== kind) return wrong();
  if (type.name === "Int" && !(Number.isInteger(value) && Math.abs(value) < 2 ** 31)) return wrong();
  if (type.name === "BigInt" && !/^-?\d+$/.test(value)) return wrong();
  if (type.name === "DateTime" && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value)) return wrong();
  if (type.name === "GitObjectID" && !/^[0-9a-f]{40}$/.test(value)) return wrong();
}

const recorded = JSON.parse(readFileSync(process.argv[2], "utf8"));
for (const { query, variables, answer } of recorded) {
  const document = g.parse(query);
  const invalid = g.validate(schema, document);
  invalid.forEach((e) => faults.add(`the query is not valid: ${e.message}`));
  if (invalid.length) continue;
  const fragments = {};
  let operation;
  for (const d of document.definitions) {
    if (d.kind === "FragmentDefinition") fragments[d.name.value] = d;
    else operation = d;
  }
  const given = g.getVariableValues(schema, operation.variableDefinitions ?? [], variables ?? {});
  (given.errors ?? []).forEach((e) => faults.add(`a variable is not valid: ${e.message}`));
  const errors = (answer.errors ?? []).map((e) => JSON.stringify(e.path ?? []));
  const nulled = (path) => errors.includes(JSON.stringify(path.slice(1)));
  if (answer.data) {
    check(answer.data, schema.getQueryType(), operation.selectionSet.selections, fragments, ["data"], nulled);
  } else if (!errors.length) {
    faults.add("an answer without data and without errors");
  }
}
for (const fault of faults) console.log(fault);
console.log(`${recorded.length} queries, ${faults.size} faults`);
// Not `exit`, which would cut off what is still to be written.
process.exitCode = faults.size || !recorded.length ? 1 : 0;

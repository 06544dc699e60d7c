//! One route under description.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Where the document keeps its schemas.
const SCHEMAS: &str = "/components/schemas";

/// The schemas that the routes share. A type may be taken more leniently than it is answered, so there are two books.
pub(in crate::api) struct Words {
    /// Of what is taken.
    pub(super) taken: SchemaGenerator,
    /// Of what is answered.
    pub(super) answered: SchemaGenerator,
}

impl Words {
    pub(super) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|s| {
                s.definitions_path = SCHEMAS.into();
                s.meta_schema = None;
                s.transforms.push(Box::new(RecursiveTransform(tidy)));
            })
        };
        Self {
            taken: settings().for_deserialize().into_generator(),
            answered: settings().for_serialize().into_generator(),
        }
    }

    /// A word that answers speak of outside of JSON.
    pub(in crate::api) fn answers<T: JsonSchema>(&mut self) {
        self.answered.subschema_for::<T>();
    }
}

/// Numbers get the bounds that their formats imply, and words for people lose the marks of the code's own documentation.
pub(super) fn tidy(schema: &mut Schema) {
    let most = match schema.get("format").and_then(Value::as_str) {
        Some("uint" | "uint64") => Some(u64::MAX),
        Some("uint32") => Some(u64::from(u32::MAX)),
        _ => None,
    };
    if let Some(most) = most {
        schema.insert("maximum".to_owned(), most.into());
    }
    // What may be absent is told by what is required.
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace("[`", "`").replace("`]", "`");
    }
}

/// What is known of one route.
#[derive(Default)]
pub(in crate::api) struct Operation {
    /// Names in its path.
    pub(super) in_path: Vec<String>,
    /// Path, query, header.
    pub(super) parameters: Vec<Value>,
    /// What it takes.
    pub(super) body: Option<Value>,
    /// What it answers when all is well, or well enough to say so.
    pub(super) answers: BTreeMap<u16, Value>,
    /// The statuses of its errors.
    pub(super) fails: BTreeSet<u16>,
    /// Whether there is a newer one.
    pub(super) deprecated: bool,
}

impl Operation {
    pub(super) fn new(path: &str) -> Self {
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        Self { in_path: names.map(ToOwned::to_owned).collect(), ..Self::default() }
    }

    /// An error that the route may answer.
    pub(in crate::api) fn fails(&mut self, statuses: &[u16]) {
        self.fails.extend(statuses);
    }

    /// There is a newer way.
    pub(in crate::api) fn deprecate(&mut self) {
        self.deprecated = true;
    }

    /// An answer of `media` type.
    pub(in crate::api) fn answers(&mut self, status: u16, media: &str, schema: Value) {
        let answer =
            self.answers.entry(status).or_insert_with(|| json!({"description": "Done, or so already."}));
        answer["content"][media] = json!({"schema": schema});
    }

    /// A header of the answers so far.
    pub(in crate::api) fn answers_header(&mut self, name: &str, what: &str) {
        for answer in self.answers.values_mut() {
            answer["headers"][name] = json!({"description": what, "schema": {"type": "string"}});
        }
    }

    /// A header that may be sent.
    pub(in crate::api) fn takes_header(&mut self, name: &str, what: &str, schema: Value) {
        self.parameters.push(json!({"in": "header", "name": name, "description": what, "schema": schema}));
    }

    /// A body of JSON; an empty one is `{}`.
    pub(in crate::api) fn takes_json<T: JsonSchema>(&mut self, words: &mut Words) {
        let schema = words.taken.subschema_for::<T>().to_value();
        let needed = resolved(&words.taken, &schema).is_some_and(|s| s.contains_key("required"));
        let media = json!({"application/json": {"schema": schema}});
        self.body = Some(json!({"required": needed, "content": media}));
        self.fails(&[400, 408, 413]);
    }

    /// A query: each field of `T` is one parameter.
    pub(super) fn takes_query<T: JsonSchema>(&mut self, words: &mut Words) {
        // In a generator of its own: a query is no word of its own, its fields are.
        let mut schema = T::json_schema(&mut words.taken);
        RecursiveTransform(tidy).transform(&mut schema);
        let none = Map::new();
        let fields = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        for (name, field) in fields {
            let mut field = field.clone();
            let what = field.as_object_mut().and_then(|f| f.remove("description"));
            // What is absent is left out: nobody writes null into a query.
            if let Some(kind) = field.get_mut("type")
                && let Some([Value::String(one), Value::String(null)]) = kind.as_array().map(Vec::as_slice)
                && null == "null"
            {
                *kind = Value::String(one.clone());
            }
            let mut parameter =
                json!({"in": "query", "name": name, "allowEmptyValue": true, "schema": field});
            if let Some(what) = what {
                parameter["description"] = what;
            }
            self.parameters.push(parameter);
        }
        self.fails(&[400]);
    }

    /// The path: one parameter, or a name `owner/repo` in two.
    pub(super) fn takes_path<T: JsonSchema>(&mut self, words: &mut Words) {
        let parts = self.in_path.len();
        for name in self.in_path.clone() {
            let schema = if parts == 1 {
                words.taken.subschema_for::<T>().to_value()
            } else {
                json!({"type": "string", "pattern": "^[A-Za-z0-9._-]+$", "maxLength": 100})
            };
            self.parameters.push(json!({"in": "path", "name": name, "required": true, "schema": schema}));
        }
    }

    /// An answer of JSON.
    pub(in crate::api) fn answers_json<T: JsonSchema>(&mut self, words: &mut Words, status: u16) {
        let schema = words.answered.subschema_for::<T>().to_value();
        self.answers(status, "application/json", schema);
    }
}

/// The schema that a reference means, or the schema itself.
fn resolved<'a>(words: &'a SchemaGenerator, schema: &'a Value) -> Option<&'a Map<String, Value>> {
    match schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next()) {
        Some(name) => words.definitions().get(name)?.as_object(),
        None => schema.as_object(),
    }
}

//! GraphQL as far as it is asked for: a query is parsed as the grammar says, what it names must be there, and what it costs is
//! counted the way GitHub documents: one request for each connection on each node that it could be asked for, a point a
//! hundred.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// One selection.
#[derive(Clone, Debug)]
pub(super) enum Pick {
    Field { alias: String, name: String, args: HashMap<String, Value>, picks: Vec<Pick> },
    Spread(String),
    Inline { on: String, picks: Vec<Pick> },
}

/// A parsed document with its one operation; variables are filled in.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub(super) picks: Vec<Pick>,
    fragments: HashMap<String, (String, Vec<Pick>)>,
}

type Tokens<'a> = std::iter::Peekable<std::vec::IntoIter<&'a str>>;

fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == '\u{feff}');
        let Some(first) = rest.chars().next() else { return Ok(found) };
        let length = match first {
            '#' => {
                rest = rest.split_once('\n').map_or("", |(_, tail)| tail);
                continue;
            }
            '"' => {
                let mut escaped = false;
                let end = rest[1..].find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                end.ok_or("a string does not end")? + 2
            }
            '.' if rest.starts_with("...") => 3,
            c if c.is_alphanumeric() || c == '_' || c == '-' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len())
            }
            '{' | '}' | '(' | ')' | '[' | ']' | ':' | '$' | '!' | '=' => 1,
            other => return Err(format!("Parse error on \"{other}\"")),
        };
        found.push(&rest[..length]);
        rest = &rest[length..];
    }
}

fn expect(t: &mut Tokens<'_>, wanted: &str) -> Result<(), String> {
    match t.next() {
        Some(found) if found == wanted => Ok(()),
        other => Err(format!("Parse error: expected {wanted}, found {other:?}")),
    }
}

fn name(t: &mut Tokens<'_>) -> Result<String, String> {
    let found = t.next().ok_or("Parse error: unexpected end")?;
    let starts = found.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    starts.then(|| found.to_owned()).ok_or_else(|| format!("Parse error: expected a name, found {found}"))
}

impl Query {
    /// Reads a document.
    pub(super) fn parse(text: &str, variables: &Value) -> Result<Self, String> {
        let mut t = tokens(text)?.into_iter().peekable();
        let mut query = Self::default();
        let mut declared = Vec::new();
        let mut operations = 0;
        while let Some(word) = t.next() {
            match word {
                "{" => {
                    operations += 1;
                    query.picks = picks(&mut t, variables)?;
                }
                "query" => {
                    operations += 1;
                    while t.peek().is_some_and(|next| *next != "{") {
                        if t.next() == Some("$") {
                            declared.push(name(&mut t)?);
                        }
                    }
                    expect(&mut t, "{")?;
                    query.picks = picks(&mut t, variables)?;
                }
                "fragment" => {
                    let named = name(&mut t)?;
                    expect(&mut t, "on")?;
                    let on = name(&mut t)?;
                    expect(&mut t, "{")?;
                    let body = picks(&mut t, variables)?;
                    query.fragments.insert(named, (on, body));
                }
                other => return Err(format!("Parse error: {other} is nothing that is answered here")),
            }
        }
        if operations != 1 {
            return Err("there is not exactly one operation".to_owned());
        }
        let given: Vec<&String> = variables.as_object().map(|o| o.keys().collect()).unwrap_or_default();
        match declared.iter().find(|d| !given.contains(d)) {
            Some(missing) => {
                Err(format!("Variable ${missing} of a required type was provided invalid value"))
            }
            None => Ok(query),
        }
    }

    /// Requests that GitHub counts for it.
    fn requests(&self, picks: &[Pick], parents: u64) -> u64 {
        picks
            .iter()
            .map(|pick| match pick {
                Pick::Spread(named) => {
                    self.fragments.get(named).map_or(0, |(_, picks)| self.requests(picks, parents))
                }
                Pick::Inline { picks, .. } => self.requests(picks, parents),
                Pick::Field { args, picks, .. } => {
                    let most = ["first", "last"].iter().find_map(|w| args.get(*w)?.as_u64());
                    let ids = args.get("ids").and_then(Value::as_array).map(|ids| ids.len() as u64);
                    match (most, ids) {
                        (Some(most), _) => parents + self.requests(picks, parents * most),
                        (None, Some(ids)) => self.requests(picks, parents * ids),
                        (None, None) => self.requests(picks, parents),
                    }
                }
            })
            .sum()
    }

    /// The points that it costs.
    pub(super) fn cost(&self) -> u64 {
        let requests = self.requests(&self.picks, 1);
        ((requests + 50) / 100).max(1)
    }

    /// Picks from a thing what was asked for.
    pub(super) fn select(&self, thing: &Value, picks: &[Pick]) -> Result<Value, String> {
        match thing {
            Value::Null => return Ok(Value::Null),
            Value::Array(things) => {
                return things
                    .iter()
                    .map(|t| self.select(t, picks))
                    .collect::<Result<_, _>>()
                    .map(Value::Array);
            }
            Value::Object(_) => {}
            other if picks.is_empty() => return Ok(other.clone()),
            other => return Err(format!("{other} has no fields")),
        }
        if picks.is_empty() {
            return Err("an object needs a selection of fields".to_owned());
        }
        let mut found = Map::new();
        self.pick_into(thing, picks, &mut found)?;
        Ok(Value::Object(found))
    }

    fn pick_into(&self, thing: &Value, picks: &[Pick], found: &mut Map<String, Value>) -> Result<(), String> {
        let kind = thing["__typename"].as_str().unwrap_or_default();
        for pick in picks {
            match pick {
                Pick::Spread(named) => {
                    let (on, body) = self.fragments.get(named).ok_or(format!("no fragment {named}"))?;
                    if on == kind {
                        self.pick_into(thing, body, found)?;
                    }
                }
                Pick::Inline { on, picks } if on == kind => self.pick_into(thing, picks, found)?,
                Pick::Inline { .. } => {}
                Pick::Field { alias, name, args, picks } => {
                    let value = thing
                        .get(name)
                        .ok_or_else(|| format!("Field '{name}' doesn't exist on type '{kind}'"))?;
                    let value = match value.get("__items") {
                        Some(_) => page(name, value, args)?,
                        None => value.clone(),
                    };
                    found.insert(alias.clone(), self.select(&value, picks)?);
                }
            }
        }
        Ok(())
    }
}

fn picks(t: &mut Tokens<'_>, variables: &Value) -> Result<Vec<Pick>, String> {
    let mut found = Vec::new();
    loop {
        match t.peek().copied() {
            None => return Err("Parse error: unexpected end".to_owned()),
            Some("}") => {
                t.next();
                return Ok(found);
            }
            Some("...") => {
                t.next();
                if t.peek() == Some(&"on") {
                    t.next();
                    let on = name(t)?;
                    expect(t, "{")?;
                    found.push(Pick::Inline { on, picks: picks(t, variables)? });
                } else {
                    found.push(Pick::Spread(name(t)?));
                }
            }
            Some(_) => found.push(field(t, variables)?),
        }
    }
}

fn field(t: &mut Tokens<'_>, variables: &Value) -> Result<Pick, String> {
    let mut named = name(t)?;
    let alias = named.clone();
    if t.peek() == Some(&":") {
        t.next();
        named = name(t)?;
    }
    let mut args = HashMap::new();
    if t.peek() == Some(&"(") {
        t.next();
        while t.peek() != Some(&")") {
            let arg = name(t)?;
            expect(t, ":")?;
            args.insert(arg, value(t, variables)?);
        }
        t.next();
    }
    let mut body = Vec::new();
    if t.peek() == Some(&"{") {
        t.next();
        body = picks(t, variables)?;
    }
    Ok(Pick::Field { alias, name: named, args, picks: body })
}

fn value(t: &mut Tokens<'_>, variables: &Value) -> Result<Value, String> {
    match t.next() {
        Some("$") => {
            let named = name(t)?;
            Ok(variables.get(&named).cloned().unwrap_or_default())
        }
        Some("[") => {
            let mut list = Vec::new();
            while t.peek() != Some(&"]") {
                list.push(value(t, variables)?);
            }
            t.next();
            Ok(Value::Array(list))
        }
        // An enum's word is no JSON.
        Some(word) => Ok(serde_json::from_str(word).unwrap_or_else(|_| json!(word))),
        None => Err("Parse error: unexpected end".to_owned()),
    }
}

/// A list that is read in pages: its items lie in `__items`.
pub(super) fn connection(kind: &str, items: Vec<Value>) -> Value {
    json!({ "__typename": kind, "__items": items })
}

fn page(field: &str, list: &Value, args: &HashMap<String, Value>) -> Result<Value, String> {
    let all = list["__items"].as_array().cloned().unwrap_or_default();
    let number = |name: &str| args.get(name).and_then(Value::as_u64).map(|n| n as usize);
    let limit = number("first").or(number("last"));
    let Some(limit) = limit.filter(|n| (1..=100).contains(n)) else {
        return Err(format!(
            "You must provide a `first` or `last` value of 1 to 100 to properly paginate the `{field}` connection."
        ));
    };
    let from = match args.get("after").and_then(Value::as_str) {
        Some(cursor) => {
            cursor.strip_prefix("c:").and_then(|n| n.parse().ok()).ok_or("`after` is no cursor")?
        }
        None => 0,
    };
    let (start, end) = match number("last") {
        Some(last) => (all.len().saturating_sub(last), all.len()),
        None => (from.min(all.len()), (from + limit).min(all.len())),
    };
    let mut answer = list.clone();
    answer["totalCount"] = json!(all.len());
    answer["nodes"] = json!(&all[start..end]);
    answer["pageInfo"] = json!({
        "__typename": "PageInfo",
        "hasNextPage": end < all.len() && number("last").is_none(),
        "hasPreviousPage": start > 0,
        "startCursor": format!("c:{start}"),
        "endCursor": format!("c:{end}"),
    });
    Ok(answer)
}

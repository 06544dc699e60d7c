//! Setting the filter: a field at a time, with what synced cards have in it to choose from.

use super::keys;
use crate::effect::{Effect, Keep};
use crate::model::Model;
use crate::model::filter::{self, Field, Filter};
use crate::model::overlay::{FilterBar, Input, Overlay, Purpose};

pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    let before = model.filter.clone();
    let input = Input::new(Purpose::Words, before.value(Field::Text).to_owned());
    let bar = FilterBar { field: Field::Text, input, before, choice: None };
    model.overlays.push(Overlay::Filter(Box::new(bar)));
    Vec::new()
}

fn bar(model: &mut Model) -> Option<&mut FilterBar> {
    match model.overlays.last_mut() {
        Some(Overlay::Filter(bar)) => Some(bar),
        _ => None,
    }
}

/// What can be chosen in the field: a name, and how many cards have it or what a saved filter asks for.
pub(crate) fn choices(model: &Model, bar: &FilterBar) -> Vec<(String, String)> {
    let typed = bar.input.text.trim().to_lowercase();
    if bar.field == Field::Text {
        return model.saved.iter().map(|(name, filter)| (name.clone(), filter.clone())).collect();
    }
    let known = filter::known(bar.field, model.data.issues.values());
    let fits = |name: &str| name.to_lowercase().contains(&typed);
    known.into_iter().filter(|(name, _)| fits(name)).map(|(name, n)| (name, n.to_string())).collect()
}

fn set(model: &mut Model, filter: Filter) {
    if model.filter != filter {
        model.filter = filter;
        model.arrange();
    }
}

/// A filter works while it is typed.
pub(super) fn typed(model: &mut Model) {
    let Some(bar) = bar(model) else { return };
    bar.choice = None;
    let (field, value) = (bar.field, bar.input.text.clone());
    let mut filter = model.filter.clone();
    filter.set(field, value);
    set(model, filter);
}

/// The next field, or the one before.
pub(super) fn field(model: &mut Model, by: isize) {
    let filter = model.filter.clone();
    let Some(bar) = bar(model) else { return };
    let count = Field::ALL.len();
    let at = (bar.field as usize + count).saturating_add_signed(by) % count;
    bar.field = Field::ALL[at];
    bar.choice = None;
    bar.input.replace(filter.value(bar.field));
}

/// The choice above or below; from the first one upwards there is none again.
pub(super) fn step(model: &mut Model, by: isize) {
    let Some(Overlay::Filter(bar)) = model.overlays.last() else { return };
    let names: Vec<String> = choices(model, bar).into_iter().map(|(name, _)| name).collect();
    let at = bar.choice.as_ref().and_then(|c| names.iter().position(|n| n == c));
    let next = match (at, by > 0) {
        (None, true) => names.first(),
        (None, false) => None,
        (Some(at), true) => names.get(at + 1).or(names.last()),
        (Some(at), false) => at.checked_sub(1).and_then(|at| names.get(at)),
    };
    let next = next.cloned();
    if let Some(Overlay::Filter(bar)) = model.overlays.last_mut() {
        bar.choice = next;
    }
}

/// Takes what is typed or chosen, and closes.
pub(super) fn enter(model: &mut Model) -> Vec<Effect> {
    let Some(Overlay::Filter(bar)) = model.overlays.pop() else { return Vec::new() };
    let mut filter = model.filter.clone();
    match bar.choice {
        Some(name) if bar.field == Field::Text => {
            filter = model.saved.get(&name).map(|f| Filter::read(f)).unwrap_or_default();
            model.say(format!("filter {name}"));
        }
        Some(value) => filter.set(bar.field, value),
        // What was typed as `field:value` becomes the field.
        None => filter = Filter::read(&filter.to_string()),
    }
    set(model, filter);
    keys::shown(model);
    Vec::new()
}

/// Leaves, and brings back what was in force.
pub(super) fn leave(model: &mut Model, bar: FilterBar) {
    set(model, bar.before);
}

/// Asks for the name under which the filter is kept.
pub(super) fn save(model: &mut Model) -> Vec<Effect> {
    if model.filter.is_empty() {
        model.complain("nothing is asked for yet, so there is nothing to keep");
        return Vec::new();
    }
    model.overlays.push(Overlay::Input(Input::new(Purpose::SaveFilter, String::new())));
    Vec::new()
}

pub(super) fn saved(model: &mut Model, name: String) -> Vec<Effect> {
    let filter = model.filter.to_string();
    model.say(format!("kept as {name}"));
    model.saved.insert(name.clone(), filter.clone());
    vec![Effect::Keep(Keep::Filter { name, filter: Some(filter) })]
}

/// Forgets the saved filter under the cursor.
pub(super) fn forget(model: &mut Model) -> Vec<Effect> {
    let Some(bar) = bar(model) else { return Vec::new() };
    match bar.choice.take().filter(|_| bar.field == Field::Text) {
        Some(name) => {
            model.saved.remove(&name);
            model.say(format!("{name} is forgotten"));
            vec![Effect::Keep(Keep::Filter { name, filter: None })]
        }
        None => {
            model.complain("no saved filter is chosen");
            Vec::new()
        }
    }
}

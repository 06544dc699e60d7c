//! The palette: every command and every card, found by a few letters in their order.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::{keys, verbs};
use crate::effect::Effect;
use crate::keymap::{Action, TABLE};
use crate::model::overlay::{Entry, Input, Overlay, Palette, Purpose};
use crate::model::{Model, View};

/// The most rows that are kept.
const MOST: usize = 200;

/// Whether a command makes sense out of a menu: moving about does not.
fn is_command(binding: &crate::keymap::Binding) -> bool {
    !matches!(binding.group, "Moving about" | "Questions and texts" | "Log and diff")
        && binding.action != Action::Palette
}

pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    let input = Input::new(Purpose::Words, String::new());
    let mut palette = Palette { input, rows: Vec::new(), choice: None };
    palette.rows = find(model, "");
    palette.choice = palette.rows.first().cloned();
    model.overlays.push(Overlay::Palette(Box::new(palette)));
    Vec::new()
}

/// What matches `text`, the best first; the commands in their order, then cards, if nothing was typed.
fn find(model: &Model, text: &str) -> Vec<Entry> {
    let commands = TABLE.iter().filter(|b| is_command(b));
    let cards = model.data.issues.values();
    if text.trim().is_empty() {
        let commands = commands.map(|b| Entry::Command(b.action));
        return commands.chain(cards.map(|i| Entry::Card(i.issue_id.clone()))).take(MOST).collect();
    }
    let pattern = Pattern::parse(text, CaseMatching::Smart, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut score = |hay: &str| pattern.score(Utf32Str::new(hay, &mut buffer), &mut matcher);
    let mut found: Vec<(u32, Entry)> = Vec::new();
    for binding in commands {
        // The word counts for more than the sentence about it.
        let word = score(binding.label).map(|s| s * 2 + 20);
        let both = score(&format!("{} {}", binding.label, binding.help)).map(|s| s / 2);
        found.extend(word.max(both).map(|s| (s, Entry::Command(binding.action))));
    }
    for card in cards {
        let hay = format!("#{} {} {}", card.number, card.title, card.repo_full_name);
        found.extend(score(&hay).map(|s| (s, Entry::Card(card.issue_id.clone()))));
    }
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().take(MOST).map(|(_, entry)| entry).collect()
}

/// Finds anew after something was typed.
pub(super) fn typed(model: &mut Model) {
    let Some(Overlay::Palette(palette)) = model.overlays.last() else { return };
    let rows = find(model, &palette.input.text);
    if let Some(Overlay::Palette(palette)) = model.overlays.last_mut() {
        palette.choice = rows.first().cloned();
        palette.rows = rows;
    }
}

/// Cards that are gone leave the rows; the choice goes to what is there.
pub(super) fn prune(model: &mut Model) {
    let data = &model.data;
    for overlay in &mut model.overlays {
        if let Overlay::Palette(palette) = overlay {
            palette.rows.retain(|row| !matches!(row, Entry::Card(id) if !data.issues.contains_key(id)));
            if palette.choice.as_ref().is_none_or(|c| !palette.rows.contains(c)) {
                palette.choice = palette.rows.first().cloned();
            }
        }
    }
}

pub(super) fn step(model: &mut Model, by: isize) {
    if let Some(Overlay::Palette(palette)) = model.overlays.last_mut() {
        let at = palette.choice.as_ref().and_then(|c| palette.rows.iter().position(|r| r == c)).unwrap_or(0);
        let at = at.saturating_add_signed(by).min(palette.rows.len().saturating_sub(1));
        palette.choice = palette.rows.get(at).cloned();
    }
}

/// Does the chosen command, or goes to the chosen card.
pub(super) fn run(model: &mut Model) -> Vec<Effect> {
    let Some(Overlay::Palette(palette)) = model.overlays.pop() else { return Vec::new() };
    match palette.choice {
        Some(Entry::Command(action)) => keys::act_as_chosen(model, action),
        Some(Entry::Card(id)) => go(model, &id),
        None => {
            model.complain(format!("nothing is called `{}`", palette.input.text.trim()));
            Vec::new()
        }
    }
}

/// Shows the board with the cursor on the card, whatever was shown before.
pub(super) fn go(model: &mut Model, issue: &dispatch_shared::id::IssueId) -> Vec<Effect> {
    let effects = keys::close_all(model);
    if !model.columns.iter().any(|c| c.rows.contains(issue)) {
        model.filter.clear();
        model.marks.clear(View::Board);
    }
    model.arrange();
    keys::show(model, View::Board);
    if let Some(at) = model.columns.iter().position(|c| c.rows.contains(issue)) {
        model.column = at;
        model.columns[at].choose(issue);
    }
    effects
}

/// Why a command is not possible now; none if it is.
pub(crate) fn why_not(model: &Model, action: Action) -> Option<String> {
    let verb = crate::keymap::binding(action);
    let asks = matches!(verb.group, "Verbs" | "Commands without a key")
        || matches!(action, Action::Undo | Action::Freeze);
    if asks && action != Action::Theme { verbs::why_not(model, action) } else { None }
}

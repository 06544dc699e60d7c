//! What verbs are to take together: things marked one by one, and a range from one of them to the cursor. Marks belong to
//! the view they were made in, so that no verb hits what is not seen.

use std::collections::BTreeSet;

use dispatch_shared::id::{IssueId, RepoName, RunId};

use super::{Model, View};

/// Something that can be marked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Card(IssueId),
    Run(RunId),
    Problem(String),
    Repo(RepoName),
    /// A row of the queue.
    Row(String),
}

/// The marks of all views.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    sets: [BTreeSet<Thing>; 8],
    /// Where the range began, and in which view.
    pub(crate) range: Option<(View, Thing)>,
}

impl Marks {
    /// Whether the view has marks or a range.
    pub(crate) fn any(&self, view: View) -> bool {
        !self.sets[view as usize].is_empty() || self.range.as_ref().is_some_and(|(v, _)| *v == view)
    }

    pub(crate) fn set(&self, view: View) -> &BTreeSet<Thing> {
        &self.sets[view as usize]
    }

    pub(crate) fn set_mut(&mut self, view: View) -> &mut BTreeSet<Thing> {
        &mut self.sets[view as usize]
    }

    pub(crate) fn clear(&mut self, view: View) {
        self.set_mut(view).clear();
        self.range = None;
    }
}

/// The rows of the list that has the cursor, and the cursor.
pub(crate) fn list(model: &Model) -> (Vec<Thing>, Option<Thing>) {
    fn of<K: Clone>(list: &super::list::List<K>, wrap: fn(K) -> Thing) -> (Vec<Thing>, Option<Thing>) {
        (list.rows.iter().cloned().map(wrap).collect(), list.cursor.clone().map(wrap))
    }
    match model.view {
        View::Board => of(&model.columns[model.column.min(4)], Thing::Card),
        View::Problems => of(&model.problems, Thing::Problem),
        View::Runs => of(&model.runs, Thing::Run),
        View::Queue => of(&model.queue, Thing::Row),
        View::Repos => of(&model.repos, Thing::Repo),
        View::Agents | View::Activity | View::Overview => (Vec::new(), None),
    }
}

/// Everything that is marked in the view: one by one, or by the range. In the order of the lists.
pub(crate) fn marked(model: &Model) -> Vec<Thing> {
    if !model.marks.any(model.view) {
        return Vec::new();
    }
    let set = model.marks.set(model.view);
    let range = in_range(model);
    let mut out: Vec<Thing> = match model.view {
        View::Board => {
            let rows = model.columns.iter().flat_map(|c| &c.rows).cloned().map(Thing::Card);
            rows.filter(|t| set.contains(t) || range.contains(t)).collect()
        }
        _ => list(model).0.into_iter().filter(|t| set.contains(t) || range.contains(t)).collect(),
    };
    out.dedup();
    out
}

/// Whether the thing is marked, as the views draw it.
pub(crate) fn is_marked(model: &Model, thing: &Thing) -> bool {
    model.marks.set(model.view).contains(thing)
        || (model.marks.range.is_some() && in_range(model).contains(thing))
}

fn in_range(model: &Model) -> Vec<Thing> {
    let Some((view, from)) = &model.marks.range else { return Vec::new() };
    let (rows, cursor) = list(model);
    let at = |thing: &Thing| rows.iter().position(|r| r == thing);
    let (Some(a), Some(b)) = (at(from), cursor.as_ref().and_then(at)) else { return Vec::new() };
    if *view != model.view {
        return Vec::new();
    }
    rows[a.min(b)..=a.max(b)].to_vec()
}

/// Marks the thing under the cursor, or takes its mark away; a range becomes marks.
pub(crate) fn toggle(model: &mut Model) {
    if settle_range(model) {
        return;
    }
    if let (_, Some(thing)) = list(model) {
        let set = model.marks.set_mut(model.view);
        if !set.remove(&thing) {
            set.insert(thing);
        }
    }
}

/// Begins a range at the cursor, or ends the one there is.
pub(crate) fn range(model: &mut Model) {
    if !settle_range(model) {
        model.marks.range = list(model).1.map(|thing| (model.view, thing));
    }
}

/// The range becomes marks; whether there was one.
pub(crate) fn settle_range(model: &mut Model) -> bool {
    let things = in_range(model);
    let there = model.marks.range.take().is_some();
    model.marks.set_mut(model.view).extend(things);
    there
}

/// Marks all rows of the list, or none if all are.
pub(crate) fn all(model: &mut Model) {
    model.marks.range = None;
    let (rows, _) = list(model);
    let set = model.marks.set_mut(model.view);
    if rows.iter().all(|thing| set.contains(thing)) {
        set.retain(|thing| !rows.contains(thing));
    } else {
        set.extend(rows);
    }
}

/// Forgets marks on what is not shown any more: what nobody sees no verb may hit.
pub(crate) fn prune(model: &mut Model) {
    if !View::ALL.into_iter().any(|view| model.marks.any(view)) {
        return;
    }
    let shown: [BTreeSet<Thing>; 5] = [
        model.columns.iter().flat_map(|c| c.rows.iter().cloned()).map(Thing::Card).collect(),
        model.problems.rows.iter().cloned().map(Thing::Problem).collect(),
        model.runs.rows.iter().copied().map(Thing::Run).collect(),
        model.queue.rows.iter().cloned().map(Thing::Row).collect(),
        model.repos.rows.iter().cloned().map(Thing::Repo).collect(),
    ];
    let views = [View::Board, View::Problems, View::Runs, View::Queue, View::Repos];
    for (view, shown) in views.into_iter().zip(&shown) {
        model.marks.set_mut(view).retain(|thing| shown.contains(thing));
        if model.marks.range.as_ref().is_some_and(|(v, thing)| *v == view && !shown.contains(thing)) {
            model.marks.range = None;
        }
    }
}

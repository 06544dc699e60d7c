//! The whole state of the screen, as plain data. `update` changes it, `view` draws it; neither waits for anything.

pub(crate) mod activity;
pub(crate) mod agents;
pub(crate) mod card;
pub(crate) mod data;
pub(crate) mod diff;
pub(crate) mod filter;
pub(crate) mod find;
pub(crate) mod input;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod logline;
pub(crate) mod markdown;
pub(crate) mod marks;
pub(crate) mod options;
pub(crate) mod overlay;
pub(crate) mod overview;
pub(crate) mod pointer;
pub(crate) mod queue;
pub(crate) mod repo;
pub(crate) mod runs;
pub(crate) mod text;
pub(crate) mod wants;
pub(crate) mod working;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::{IssueId, RepoName, RunId};
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::agent_runs::Overview;
use jiff::tz::TimeZone;

use crate::keymap::Keymap;
use crate::theme::Theme;
use crate::update::undo::Undo;
use activity::Activity;
use data::Data;
use filter::Filter;
use list::{List, Scroll};
use marks::Marks;
use options::Options;
use overlay::Overlay;
use pointer::Pointer;
use queue::{QueueRow, WhyPane};
use runs::RunSort;
use wants::{Part, Wants};

/// The flat views, in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum View {
    Board,
    Problems,
    Runs,
    Queue,
    Agents,
    Repos,
    Activity,
    Overview,
}

impl View {
    pub(crate) const ALL: [View; 8] = [
        View::Board,
        View::Problems,
        View::Runs,
        View::Queue,
        View::Agents,
        View::Repos,
        View::Activity,
        View::Overview,
    ];

    /// The word in the tab bar.
    pub(crate) fn title(self) -> &'static str {
        match self {
            View::Board => "Board",
            View::Problems => "Problems",
            View::Runs => "Runs",
            View::Queue => "Queue",
            View::Agents => "Agents",
            View::Repos => "Repos",
            View::Activity => "Activity",
            View::Overview => "Overview",
        }
    }
}

/// The connection, as the header shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not yet connected; the cause of the last failure, if there was one.
    Connecting(Option<String>),
    /// What is shown is what is.
    Live,
    /// Lost; what is shown was so then.
    Stale { since: Timestamp, cause: String },
}

/// A sentence that stays until the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toast {
    pub(crate) text: String,
    pub(crate) bad: bool,
}

/// A card that was moved here and not yet by the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingMove {
    pub(crate) from: Status,
    pub(crate) to: Status,
    /// The daemon said yes; its change is on the way.
    pub(crate) accepted: bool,
    /// This move undoes another one.
    pub(crate) undoes: bool,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct Model {
    /// When the last message came; views tell ages from it.
    pub(crate) now: Timestamp,
    /// Columns and rows.
    pub(crate) size: (u16, u16),
    pub(crate) zone: TimeZone,
    pub(crate) theme: Theme,
    pub(crate) keys: Keymap,
    /// Where the daemon is looked for.
    pub(crate) endpoint: String,
    pub(crate) link: Link,
    pub(crate) data: Data,
    pub(crate) view: View,
    pub(crate) last_view: View,
    /// The focused column, by its place in [`Status::ALL`].
    pub(crate) column: usize,
    pub(crate) columns: [List<IssueId>; 5],
    pub(crate) problems: List<String>,
    pub(crate) runs: List<RunId>,
    pub(crate) queue: List<String>,
    pub(crate) queue_rows: Vec<QueueRow>,
    /// Folds of the queue that are open.
    pub(crate) unfolded: BTreeSet<String>,
    pub(crate) why: WhyPane,
    pub(crate) agents: List<agents::Key>,
    pub(crate) activity: Activity,
    /// Agents and stale cards, once they came.
    pub(crate) overview: Option<Overview>,
    pub(crate) numbers: List<overview::Key>,
    pub(crate) run_sort: RunSort,
    /// How many runs were known when more were asked for last.
    pub(crate) runs_paged: usize,
    /// What views ask for beyond the stream.
    pub(crate) wants: Wants,
    pub(crate) repos: List<RepoName>,
    pub(crate) hidden: BTreeSet<String>,
    /// What a shown card must have; empty shows all.
    pub(crate) filter: Filter,
    /// Filters kept under a name.
    pub(crate) saved: BTreeMap<String, String>,
    pub(crate) marks: Marks,
    pub(crate) options: Options,
    /// What was typed and not sent, by what it was for.
    pub(crate) drafts: BTreeMap<String, String>,
    pub(crate) overlays: Vec<Overlay>,
    pub(crate) toast: Option<Toast>,
    pub(crate) moves: BTreeMap<IssueId, PendingMove>,
    /// Moves that were refused, and why; until the card changes.
    pub(crate) refused: BTreeMap<IssueId, String>,
    /// What `z` takes back, the last one first.
    pub(crate) undo: Vec<Undo>,
    pub(crate) mouse: bool,
    pub(crate) pointer: Pointer,
    /// Problems that the operator was told of, or saw when the board was opened.
    pub(crate) told: BTreeSet<String>,
    /// Rows must be put in order anew, as soon as nothing holds them still.
    pub(crate) unsorted: bool,
    /// When rows were last put in order.
    pub(crate) arranged: Timestamp,
    /// A frame is owed.
    pub(crate) dirty: bool,
    /// Scroll of the detail pane.
    pub(crate) detail_scroll: usize,
}

impl Model {
    /// An empty board that is not yet connected.
    pub(crate) fn new(endpoint: String, theme: Theme, zone: TimeZone, now: Timestamp) -> Self {
        Self {
            now,
            size: (80, 24),
            zone,
            theme,
            keys: Keymap::default(),
            endpoint,
            link: Link::Connecting(None),
            data: Data::default(),
            view: View::Board,
            last_view: View::Board,
            column: 1,
            columns: Default::default(),
            problems: List::default(),
            runs: List::default(),
            queue: List::default(),
            queue_rows: Vec::new(),
            unfolded: BTreeSet::new(),
            why: WhyPane::default(),
            agents: List::default(),
            activity: Activity::default(),
            overview: None,
            numbers: List::default(),
            run_sort: RunSort::default(),
            runs_paged: 0,
            wants: Wants::default(),
            repos: List::default(),
            hidden: BTreeSet::new(),
            filter: Filter::default(),
            saved: BTreeMap::new(),
            marks: Marks::default(),
            options: Options::default(),
            drafts: BTreeMap::new(),
            overlays: Vec::new(),
            toast: None,
            moves: BTreeMap::new(),
            refused: BTreeMap::new(),
            undo: Vec::new(),
            mouse: true,
            pointer: Pointer::default(),
            told: BTreeSet::new(),
            unsorted: false,
            arranged: Timestamp(0),
            dirty: true,
            detail_scroll: 0,
        }
    }

    /// Whether the window is too small for anything but saying so.
    pub(crate) fn too_small(&self) -> bool {
        self.size.0 < 20 || self.size.1 < 5
    }

    /// A sentence about what went well.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast { text: text.into(), bad: false });
    }

    /// A sentence about what did not.
    pub(crate) fn complain(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast { text: text.into(), bad: true });
    }

    /// The column where the card is shown: where it was just moved to, else where the daemon has it.
    pub(crate) fn column_of(&self, id: &IssueId) -> Option<Status> {
        self.moves.get(id).map(|m| m.to).or_else(|| self.data.issues.get(id).map(|i| i.column))
    }

    /// What the view shows beyond what the stream brings.
    pub(crate) fn parts(&self) -> &'static [Part] {
        match self.view {
            View::Queue => &[Part::Queue],
            View::Agents => &[Part::Overview],
            View::Overview => &[Part::Overview, Part::Audit],
            View::Activity => match self.activity.tab {
                activity::Tab::Audit => &[Part::Audit],
                activity::Tab::Feed => &[Part::Feed],
            },
            View::Board | View::Problems | View::Runs | View::Repos => &[],
        }
    }

    /// The list that the view's keys move in.
    pub(crate) fn list(&mut self) -> &mut dyn Scroll {
        match self.view {
            View::Board => &mut self.columns[self.column.min(4)],
            View::Problems => &mut self.problems,
            View::Runs => &mut self.runs,
            View::Queue => &mut self.queue,
            View::Repos => &mut self.repos,
            View::Agents => &mut self.agents,
            View::Activity => match self.activity.tab {
                activity::Tab::Audit => &mut self.activity.rows,
                activity::Tab::Feed => &mut self.activity.events,
            },
            View::Overview => &mut self.numbers,
        }
    }

    /// Whether rows must hold still because something was asked about one of them.
    pub(crate) fn holds_still(&self) -> bool {
        self.marks.any(self.view) || self.pointer.drag.is_some() || self.overlays.iter().any(Overlay::holds)
    }

    /// The problem under the cursor, by id.
    pub(crate) fn problem(&self, id: &str) -> Option<&dispatch_shared::protocol::control::Problem> {
        self.data.problems.iter().find(|p| p.id == id)
    }

    /// Puts all rows in order; tells of a card that left the focused column.
    pub(crate) fn arrange(&mut self) {
        self.unsorted = false;
        self.arranged = self.now;
        let columns = card::columns(self);
        let mut left = None;
        for (at, rows) in columns.into_iter().enumerate() {
            let gone = self.columns[at].set(rows);
            if at == self.column && self.view == View::Board {
                left = gone;
            }
        }
        if let Some(id) = left
            && !self.moves.contains_key(&id)
            && self.toast.is_none()
        {
            match self.data.issues.get(&id) {
                Some(issue) if self.filter.is_empty() => {
                    self.toast = Some(Toast {
                        text: format!("#{} went to {}", issue.number, card::column_title(issue.column)),
                        bad: false,
                    });
                }
                Some(_) => {}
                None => self.say("the card under the cursor left the board"),
            }
        }
        let problems: Vec<_> = self
            .data
            .problems
            .iter()
            .filter(|p| !self.hidden.contains(&p.id))
            .map(|p| p.id.clone())
            .collect();
        self.problems.set(problems);
        self.runs.set(runs::order(self));
        self.queue.set(queue::order(self));
        self.repos.set(self.data.repos.keys().cloned().collect());
        self.agents.set(agents::keys(self));
        self.activity.arrange(&self.filter.to_string());
        self.numbers.set(overview::keys(self));
        marks::prune(self);
    }

    /// When the next text on the screen changes by itself: an age, a glyph that empties. `None` if nothing ages.
    pub(crate) fn next_change(&self) -> Option<Duration> {
        let ages = card::visible_ages(self).into_iter().map(|since| text::age_holds(self.now.since(since)));
        let breaths = self.data.runs.values().filter(|r| !r.ended).flat_map(|run| {
            let quiet = self.now.since(run.last_output_at.unwrap_or(run.created_at));
            [card::QUIET, card::SILENT].into_iter().filter_map(move |at| at.checked_sub(quiet))
        });
        let stale = match &self.link {
            Link::Stale { since, .. } => {
                let age = self.now.since(*since);
                Some(if age < Duration::from_secs(60) {
                    Duration::from_secs(10 - age.as_secs() % 10)
                } else {
                    text::age_holds(age)
                })
            }
            _ => None,
        };
        let order = (self.unsorted && !self.holds_still()).then_some(crate::update::ORDER);
        let work = self.data.progress.iter().filter_map(working::Working::ages);
        let work = work.map(|since| text::age_holds(self.now.since(since)));
        let ahead = agents::ahead(self);
        let next = ages.chain(breaths).chain(stale).chain(order).chain(work).chain(ahead).min();
        next.map(|d| d + Duration::from_millis(50))
    }
}

//! What lies above a view: one stack, the last one has the keys.

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::{ClaimId, IssueId, RepoName, RunId};
use dispatch_shared::protocol::issues::WhyRule;
use ratatui::text::Line;

use super::filter::{Field, Filter};
pub(crate) use super::input::{Input, Purpose};
use super::log::LogPane;
use super::repo::RepoPane;
use crate::effect::Step;
use crate::keymap::{Action, Context};

/// A layer.
#[derive(Clone, Debug)]
pub(crate) enum Overlay {
    Card(Box<CardPane>),
    Log(Box<LogPane>),
    Repo(Box<RepoPane>),
    Help(HelpPane),
    Pick(Pick),
    Actions(ActionMenu),
    Confirm(Confirm),
    Bulk(Bulk),
    Input(Input),
    Palette(Box<Palette>),
    Filter(Box<FilterBar>),
}

impl Overlay {
    /// Whose keys are valid while it is on top.
    pub(crate) fn context(&self) -> Context {
        match self {
            Overlay::Card(_) => Context::Card,
            Overlay::Log(_) => Context::Log,
            Overlay::Repo(_) => Context::Repo,
            Overlay::Help(_) => Context::Help,
            Overlay::Pick(_) | Overlay::Actions(_) => Context::Menu,
            Overlay::Confirm(_) | Overlay::Bulk(_) => Context::Confirm,
            Overlay::Input(_) => Context::Input,
            Overlay::Palette(_) => Context::Palette,
            Overlay::Filter(_) => Context::Filter,
        }
    }

    /// Whether rows must hold still while it is open.
    pub(crate) fn holds(&self) -> bool {
        matches!(self, Overlay::Pick(_) | Overlay::Actions(_) | Overlay::Confirm(_) | Overlay::Bulk(_))
    }
}

/// A card's details.
#[derive(Clone, Debug)]
pub(crate) struct CardPane {
    pub(crate) issue: IssueId,
    /// The body, rendered; `None` until it came.
    pub(crate) body: Option<Vec<Line<'static>>>,
    /// Why it could not be had.
    pub(crate) failed: Option<String>,
    /// Why it is or is not next; empty until it came.
    pub(crate) why: Vec<WhyRule>,
    pub(crate) scroll: usize,
}

/// The help, which is a menu as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HelpPane {
    pub(crate) choice: Action,
    pub(crate) scroll: usize,
}

/// What is chosen from a menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PickKind {
    Move,
    Priority,
    Labels,
    Lane,
    Copy,
    Start,
    Options,
    Theme,
    Resume,
}

/// A menu. Its rows are told from the model whenever they are needed, so that they are true.
#[derive(Clone, Debug)]
pub(crate) struct Pick {
    pub(crate) kind: PickKind,
    /// The cards it is about.
    pub(crate) issues: Vec<IssueId>,
    /// The name of the chosen row.
    pub(crate) choice: String,
}

/// Choosing a verb.
#[derive(Clone, Debug)]
pub(crate) struct ActionMenu {
    pub(crate) choice: Action,
}

/// A question before something that cannot be taken back. It holds what it is about; when that changes it closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Confirm {
    Kill {
        run: RunId,
        attempt: Attempt,
    },
    Release {
        issue: IssueId,
        claim: ClaimId,
        agent: String,
    },
    ForceClaim {
        issue: IssueId,
        agent: String,
        why: String,
    },
    Untrack {
        repo: RepoName,
    },
    RunnerOn {
        repo: RepoName,
    },
    /// Let a paused program go on.
    Resume {
        program: String,
    },
    /// Leaving although something was typed and not sent, or is on its way.
    Quit {
        why: String,
    },
    /// Labels to be made, and permissions that are missing.
    Labels {
        repo: RepoName,
        labels: Vec<String>,
        missing: Vec<String>,
    },
}

/// A question before several things at once: what is done to which, and what is left out and why.
#[derive(Clone, Debug)]
pub(crate) struct Bulk {
    /// `kill`, `move to Ready`.
    pub(crate) what: String,
    pub(crate) steps: Vec<(String, Step)>,
    pub(crate) excluded: Vec<(String, String)>,
}

/// A row of the palette.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Command(Action),
    Card(IssueId),
}

/// Finding a command or a card by a few letters.
#[derive(Clone, Debug)]
pub(crate) struct Palette {
    pub(crate) input: Input,
    /// What matches, the best first.
    pub(crate) rows: Vec<Entry>,
    pub(crate) choice: Option<Entry>,
}

/// The filter being set.
#[derive(Clone, Debug)]
pub(crate) struct FilterBar {
    pub(crate) field: Field,
    /// The text of the field.
    pub(crate) input: Input,
    /// What was in force before; leaving brings it back.
    pub(crate) before: Filter,
    /// The chosen value, or the name of the chosen saved filter.
    pub(crate) choice: Option<String>,
}

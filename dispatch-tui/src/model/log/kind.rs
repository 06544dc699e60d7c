//! What is shown of a run, and which of its lines.

use crate::model::logline::Level;

/// What is shown of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the program put out.
    Log,
    /// What that means, in one shape for every program.
    Events,
    /// What the branch changes.
    Diff,
    /// Where it stood, since when.
    Phases,
}

impl Kind {
    /// In the order of the tabs.
    pub(crate) const ALL: [Kind; 4] = [Kind::Log, Kind::Events, Kind::Diff, Kind::Phases];

    /// Whether it grows while it is looked at, and is read by offset.
    pub(crate) fn streams(self) -> bool {
        matches!(self, Kind::Log | Kind::Events)
    }

    /// The word on its tab.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Kind::Log => "Log",
            Kind::Events => "Events",
            Kind::Diff => "Diff",
            Kind::Phases => "Phases",
        }
    }

    /// The stream's name on the wire.
    pub(crate) fn stream(self) -> Option<&'static str> {
        (self == Kind::Events).then_some("events")
    }
}

/// Which lines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    #[default]
    All,
    /// Not what the stream and the tools say at length.
    NoNotes,
    /// Tools and errors.
    Steps,
    Errors,
}

impl Shown {
    pub(crate) fn next(self) -> Self {
        match self {
            Shown::All => Shown::NoNotes,
            Shown::NoNotes => Shown::Steps,
            Shown::Steps => Shown::Errors,
            Shown::Errors => Shown::All,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Shown::All => "all",
            Shown::NoNotes => "no notes",
            Shown::Steps => "tools, errors",
            Shown::Errors => "errors",
        }
    }

    /// Whether a line of this level is shown.
    pub(super) fn lets(self, level: Level) -> bool {
        match self {
            Shown::All => true,
            Shown::NoNotes => level != Level::Note,
            Shown::Steps => matches!(level, Level::Tool | Level::Error),
            Shown::Errors => level == Level::Error,
        }
    }
}

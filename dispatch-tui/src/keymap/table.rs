//! The rows of the table of keys.

use crossterm::event::KeyCode;

use super::Context::{Board, Card, Confirm, Filter, Help, Input, List, Log, Menu, Palette, Repo};
use super::{Action, Binding, Context, ch, ctrl, key};
use crate::model::View;

const ALWAYS: &[Context] = &[Board, List, Card, Log, Repo, Menu, Confirm, Input, Help, Palette, Filter];
const EVERYWHERE: &[Context] = &[Board, List, Card, Log, Repo, Help];
const SCROLLS: &[Context] = &[Board, List, Card, Log, Repo, Menu, Help];
const SUBJECT: &[Context] = &[Board, List, Card, Log];
const CARDS: &[Context] = &[Board, List, Card];
/// What has a repository, or is one.
const OF_REPO: &[Context] = &[Board, List, Card, Log, Repo];
const LISTS: &[Context] = &[Board, List];
const CHOOSES: &[Context] = &[Palette, Filter];

macro_rules! table {
    ($($group:literal: { $($action:expr, [$($key:expr),*], $at:expr, $label:literal, $help:literal;)+ })+) => {
        &[$($(Binding { action: $action, keys: &[$($key),*], at: $at, label: $label, help: $help, group: $group }),+),+]
    };
}

/// The table. A row without keys is a command of the palette, and may be given a key.
pub(crate) const TABLE: &[Binding] = table! {
    "Verbs": {
        Action::Answer, [ch('a')], SUBJECT, "answer", "Answer the agent's question; the answer is in its next prompt";
        Action::OpenLog, [ch('o')], SUBJECT, "log", "Show what the run puts out";
        Action::Events, [ch('e')], SUBJECT, "events", "Show what the run did, in one shape for every program";
        Action::Diff, [ch('d')], SUBJECT, "diff", "Show what the run changed";
        Action::Phases, [ch('P')], SUBJECT, "phases", "Show where the run stood, and for how long";
        Action::Move, [ch('m')], SUBJECT, "move", "Move the card to another column";
        Action::ShiftLeft, [ch('H')], SUBJECT, "shift left", "Move the card one column to the left";
        Action::ShiftRight, [ch('L')], SUBJECT, "shift right", "Move the card one column to the right";
        Action::Claim, [ch('c')], SUBJECT, "claim for", "Claim the card for an agent by name";
        Action::Release, [ch('u')], SUBJECT, "release", "End the claim on the card";
        Action::Retry, [ch('r')], SUBJECT, "retry", "Try the ended run again";
        Action::Kill, [ch('x')], SUBJECT, "kill", "End the run: TERM, a grace, KILL";
        Action::Priority, [ch('p')], SUBJECT, "priority", "Set the card's priority";
        Action::Labels, [ch('t')], SUBJECT, "labels", "Put labels on the card or take them off, the lane among them";
        Action::Comment, [ch('i')], SUBJECT, "comment", "Write a comment under the issue";
        Action::Start, [ch('s')], OF_REPO, "start", "Start a run on the card by hand; in a repository the chosen workflow, with branch and inputs";
        Action::Rerun, [ch('R')], OF_REPO, "re-run CI", "Run the failed workflows of the pull request again; in a repository the chosen CI run";
        Action::Browser, [ch('b')], OF_REPO, "URL", "Show the address of the pull request or issue, and copy it";
        Action::Copy, [ch('y')], OF_REPO, "copy", "Copy a name, an address, a branch, a question";
        Action::Sync, [ch('S')], OF_REPO, "sync", "Ask the forge for news of the repository now";
        Action::Hide, [key(KeyCode::Backspace)], &[List], "hide", "Hide the problem until the board is started anew";
    }
    "Views": {
        Action::Show(View::Board), [ch('1')], EVERYWHERE, "Board", "Cards by column";
        Action::Show(View::Problems), [ch('2')], EVERYWHERE, "Problems", "What wants a person, most urgent first";
        Action::Show(View::Runs), [ch('3')], EVERYWHERE, "Runs", "Live runs, then ended ones, as far back as you go";
        Action::Show(View::Queue), [ch('4')], EVERYWHERE, "Queue", "What is handed out next, and what is withheld";
        Action::Show(View::Agents), [ch('5')], EVERYWHERE, "Agents", "Programs and their pools, lanes, agents by name";
        Action::Show(View::Repos), [ch('6')], EVERYWHERE, "Repos", "Tracked repositories and their syncs";
        Action::Show(View::Activity), [ch('7')], EVERYWHERE, "Activity", "Who did what";
        Action::Show(View::Overview), [ch('8')], EVERYWHERE, "Overview", "Everything in numbers, and what is limited";
        Action::LastView, [ch('-')], EVERYWHERE, "last view", "Back to the view before this one";
        Action::NextProblem, [ch(']')], EVERYWHERE, "next problem", "Go to the next problem; in a log to the next error, in a diff to the next hunk";
        Action::PrevProblem, [ch('[')], EVERYWHERE, "previous problem", "Go to the problem or error before";
        Action::Goto, [ch('#')], EVERYWHERE, "go to", "Go to a card by its number";
        Action::Filter, [ch('/')], LISTS, "filter", "Show only some cards and rows: by words, repository, priority, label and more";
        Action::Options, [ch('V')], LISTS, "view", "How the board is shown: grouping, density, theme";
        Action::Sort, [ch(',')], &[List], "sort", "Sort the list another way";
    }
    "Marks": {
        Action::Mark, [ch(' ')], &[Board, List, Menu], "mark", "Mark the thing, or not; verbs take all that are marked";
        Action::Range, [ch('v')], LISTS, "range", "Mark everything from here to where the cursor goes";
        Action::MarkAll, [ch('*')], LISTS, "mark all", "Mark everything in the list, or nothing";
    }
    "Moving about": {
        Action::Up, [ch('k'), key(KeyCode::Up)], SCROLLS, "up", "Up";
        Action::Down, [ch('j'), key(KeyCode::Down)], SCROLLS, "down", "Down";
        Action::Left, [ch('h'), key(KeyCode::Left)], SCROLLS, "left", "Left: the column before, or sideways in a log";
        Action::Right, [ch('l'), key(KeyCode::Right)], SCROLLS, "right", "Right: the next column, or sideways in a log";
        Action::Top, [ch('g'), key(KeyCode::Home)], SCROLLS, "top", "To the first";
        Action::Bottom, [ch('G'), key(KeyCode::End)], SCROLLS, "bottom", "To the last";
        Action::PageUp, [key(KeyCode::PageUp)], SCROLLS, "page up", "One page up";
        Action::PageDown, [key(KeyCode::PageDown)], SCROLLS, "page down", "One page down";
        Action::HalfUp, [ctrl('u')], SCROLLS, "half up", "Half a page up";
        Action::HalfDown, [ctrl('d')], SCROLLS, "half down", "Half a page down";
        Action::ScrollUp, [ch('K')], CARDS, "scroll up", "Scroll the details up";
        Action::ScrollDown, [ch('J')], CARDS, "scroll down", "Scroll the details down";
        Action::NextPane, [key(KeyCode::Tab)], &[Board, List, Log, Repo], "next pane", "The next column, view or tab";
        Action::PrevPane, [key(KeyCode::BackTab)], &[Board, List, Log, Repo], "previous pane", "The column, view or tab before";
        Action::Enter, [key(KeyCode::Enter)], &[Board, List, Card, Log, Repo, Menu, Help, Input, Palette, Filter], "open", "Open; choose; in a text of several lines, a new line";
        Action::Back, [key(KeyCode::Esc)], &[Board, List, Card, Log, Repo, Menu, Help, Input, Palette, Filter], "back", "Undo one layer: input, range, marks, filter, overlay; then nothing";
        Action::Close, [ch('q')], &[Board, List, Card, Log, Repo, Menu, Help], "close", "Close the overlay; without one, quit";
    }
    "Log and diff": {
        Action::Follow, [ch('f')], &[Log], "follow", "Go to the end and stay there";
        Action::Search, [ch('/')], &[Log], "search", "Find text";
        Action::NextMatch, [ch('n')], &[Log], "next match", "The next match";
        Action::PrevMatch, [ch('N')], &[Log], "previous match", "The match before";
        Action::Wrap, [ch('w')], &[Log], "wrap", "Wrap long lines, or not";
        Action::Times, [ch('T')], &[Log], "times", "Show when each line was said, as far as the stream tells";
        Action::Level, [ch('E')], &[Log], "level", "All lines, none of the notes, tools and errors, errors alone";
        Action::NextFile, [ch('}')], &[Log], "next file", "The next file of the diff";
        Action::PrevFile, [ch('{')], &[Log], "previous file", "The file of the diff before";
        Action::NextRun, [ctrl('n')], &[Log], "next run", "The same of the next run";
        Action::PrevRun, [ctrl('p')], &[Log], "previous run", "The same of the run before";
    }
    "Global": {
        Action::Palette, [ch(':')], EVERYWHERE, "commands", "Every command and every card, found by a few letters";
        Action::Actions, [ch('.')], OF_REPO, "all", "Every verb, and why some are not possible now";
        Action::Help, [ch('?'), key(KeyCode::F(1))], EVERYWHERE, "help", "This help; Enter does what is chosen";
        Action::Freeze, [ch('F')], EVERYWHERE, "freeze", "Hand out nothing more, or go on";
        Action::Resume, [ch('C')], EVERYWHERE, "resume", "Let a paused program go on; among the agents the chosen one";
        Action::Track, [ch('+')], EVERYWHERE, "track", "Track a repository: OWNER/NAME, or a directory";
        Action::Undo, [ch('z')], OF_REPO, "undo", "Undo the last move, claim, release, priority, label, hiding or freeze";
        Action::Mouse, [ch('M')], EVERYWHERE, "mouse", "Take the mouse, or leave it to the terminal";
        Action::Resync, [ctrl('r')], EVERYWHERE, "reload", "Ask the daemon for everything again";
        Action::Redraw, [ctrl('l')], EVERYWHERE, "redraw", "Draw the screen anew";
        Action::Suspend, [ctrl('z')], ALWAYS, "suspend", "Back to the shell; fg returns";
        Action::Quit, [ctrl('c')], ALWAYS, "quit", "Quit; runs go on in the daemon";
    }
    "Commands without a key": {
        Action::Lane, [], SUBJECT, "lane", "Put the card into another lane";
        Action::Note, [], SUBJECT, "note", "Say that the card is split into others, and why";
        Action::Block, [], SUBJECT, "block", "Say what the card waits for; it is not handed out";
        Action::ResetReady, [], SUBJECT, "make ready", "Make a card ready again that stands in progress without a claim";
        Action::Refresh, [], SUBJECT, "refresh", "Read this one issue from the forge now";
        Action::KillAll, [], EVERYWHERE, "kill all", "End every live run; asks for their number";
        Action::Untrack, [], OF_REPO, "untrack", "Track the repository no longer; its history stays";
        Action::Runner, [], OF_REPO, "runner", "Let the built-in runner work on the repository, or not";
        Action::WipLimit, [], OF_REPO, "review limit", "Hand out no more while so many cards are in review";
        Action::Theme, [], EVERYWHERE, "theme", "Choose the colours";
    }
    "Questions and texts": {
        Action::Yes, [ch('y'), ch('Y')], &[Confirm], "yes", "Do it";
        Action::No, [ch('n'), ch('N'), ch('q'), key(KeyCode::Esc), key(KeyCode::Enter)], &[Confirm], "no", "Leave it";
        Action::Now, [ch('x')], &[Confirm], "now", "Kill without a grace";
        Action::Send, [ctrl('s')], &[Input], "send", "Send the text";
        Action::Editor, [ctrl('e')], &[Input], "editor", "Write the text in $VISUAL or $EDITOR";
        Action::ChoiceUp, [key(KeyCode::Up), ctrl('p')], CHOOSES, "choice up", "The choice above";
        Action::ChoiceDown, [key(KeyCode::Down), ctrl('n')], CHOOSES, "choice down", "The choice below; in a filter's words, a saved filter";
        Action::NextField, [key(KeyCode::Tab)], &[Filter], "next field", "The next field of the filter";
        Action::PrevField, [key(KeyCode::BackTab)], &[Filter], "previous field", "The field of the filter before";
        Action::SaveFilter, [ctrl('s')], &[Filter], "save", "Keep the filter under a name";
        Action::ForgetFilter, [ctrl('x')], &[Filter], "forget", "Forget the saved filter under the cursor";
    }
};

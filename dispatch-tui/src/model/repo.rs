//! A repository opened: its workflows and their runs, releases, reads, and how it is worked on.

use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::actions::{Workflow, WorkflowRun};
use dispatch_shared::protocol::automation::RepoDetail;

use super::list::{List, Scroll};

/// The parts of an opened repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tab {
    #[default]
    Workflows,
    Runs,
    Releases,
    Events,
    Settings,
}

impl Tab {
    pub(crate) const ALL: [Tab; 5] = [Tab::Workflows, Tab::Runs, Tab::Releases, Tab::Events, Tab::Settings];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Tab::Workflows => "Workflows",
            Tab::Runs => "CI runs",
            Tab::Releases => "Releases",
            Tab::Events => "Events",
            Tab::Settings => "Settings",
        }
    }
}

/// A row of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Board,
    Runner,
    Wip,
    Lanes,
    Untrack,
}

impl Setting {
    pub(crate) const ALL: [Setting; 5] =
        [Setting::Board, Setting::Runner, Setting::Wip, Setting::Lanes, Setting::Untrack];

    fn key(self) -> String {
        format!("{self:?}")
    }

    pub(crate) fn of_key(key: &str) -> Option<Setting> {
        Self::ALL.into_iter().find(|s| s.key() == key)
    }
}

/// The opened repository.
#[derive(Clone, Debug)]
pub(crate) struct RepoPane {
    pub(crate) repo: RepoName,
    pub(crate) tab: Tab,
    /// What the daemon said; `None` until it came.
    pub(crate) detail: Option<Box<RepoDetail>>,
    pub(crate) failed: Option<String>,
    /// An answer is awaited; and something happened since it was asked for.
    pub(crate) awaits: bool,
    pub(crate) old: bool,
    lists: [List<String>; 5],
}

impl RepoPane {
    pub(crate) fn new(repo: RepoName) -> Self {
        let mut pane = Self {
            repo,
            tab: Tab::default(),
            detail: None,
            failed: None,
            awaits: true,
            old: false,
            lists: Default::default(),
        };
        pane.arrange();
        pane
    }

    /// The list that is shown.
    pub(crate) fn list(&self) -> &List<String> {
        &self.lists[self.tab as usize]
    }

    pub(crate) fn step(&mut self, by: isize) {
        self.lists[self.tab as usize].step(by);
    }

    pub(crate) fn settle(&mut self, height: usize) {
        self.lists[self.tab as usize].settle(height);
    }

    /// The next tab, or the one before.
    pub(crate) fn turn(&mut self, by: isize) {
        let count = isize::try_from(Tab::ALL.len()).unwrap_or(1);
        let at = (self.tab as isize + by).rem_euclid(count);
        self.tab = Tab::ALL[usize::try_from(at).unwrap_or(0)];
    }

    /// Takes the answer.
    pub(crate) fn take(&mut self, answer: Result<RepoDetail, String>) {
        self.awaits = false;
        match answer {
            Ok(detail) => {
                self.detail = Some(Box::new(detail));
                self.failed = None;
            }
            Err(why) => self.failed = Some(why),
        }
        self.arrange();
    }

    fn arrange(&mut self) {
        self.lists[Tab::Settings as usize].set(Setting::ALL.map(Setting::key).to_vec());
        let Some(detail) = &self.detail else { return };
        let releases = detail.releases.iter().map(|r| format!("release {}", r.id));
        let packages = detail.packages.iter().map(|p| format!("package {}", p.id));
        let deployments = detail.deployments.iter().map(|d| format!("deployment {}", d.id));
        let rows = [
            detail.workflows.iter().map(|w| w.id.clone()).collect(),
            detail.recent_runs.iter().map(|r| r.id.clone()).collect(),
            releases.chain(packages).chain(deployments).collect(),
            detail.recent_events.iter().map(|e| e.id.clone()).collect::<Vec<_>>(),
        ];
        for (list, rows) in self.lists.iter_mut().zip(rows) {
            list.set(rows);
        }
    }

    /// The chosen workflow.
    pub(crate) fn workflow(&self) -> Option<&Workflow> {
        let chosen = self.list().cursor.as_ref().filter(|_| self.tab == Tab::Workflows)?;
        self.detail.as_ref()?.workflows.iter().find(|w| w.id == *chosen)
    }

    /// The chosen run of a workflow; of a chosen workflow its latest.
    pub(crate) fn run(&self) -> Option<&WorkflowRun> {
        if let Some(workflow) = self.workflow() {
            return workflow.latest_run.as_ref().or(workflow.recent_runs.first());
        }
        let chosen = self.list().cursor.as_ref().filter(|_| self.tab == Tab::Runs)?;
        self.detail.as_ref()?.recent_runs.iter().find(|r| r.id == *chosen)
    }

    /// The chosen setting.
    pub(crate) fn setting(&self) -> Option<Setting> {
        Setting::of_key(self.list().cursor.as_ref().filter(|_| self.tab == Tab::Settings)?)
    }

    /// Where a person reads of the chosen row.
    pub(crate) fn url(&self) -> Option<String> {
        let detail = self.detail.as_ref()?;
        let chosen = self.list().cursor.as_deref()?;
        let url = match self.tab {
            Tab::Workflows => self.workflow()?.url.clone(),
            Tab::Runs => self.run()?.url.clone(),
            Tab::Releases => {
                let release = detail.releases.iter().find(|r| chosen == format!("release {}", r.id));
                let package = detail.packages.iter().find(|p| chosen == format!("package {}", p.id));
                release.map(|r| &r.url).or(package.map(|p| &p.url))?.clone()
            }
            Tab::Events => detail.recent_events.iter().find(|e| e.id == chosen)?.url.clone()?,
            Tab::Settings => return None,
        };
        Some(url).filter(|url| !url.is_empty())
    }
}

/// The line `ref=main name=value` that a workflow's start is typed on, filled with what is known.
pub(crate) fn start_line(workflow: &Workflow, branch: &str) -> String {
    let mut line = format!("ref={branch}");
    let inputs = workflow.triggers.iter().filter(|t| t.event == "workflow_dispatch").flat_map(|t| &t.inputs);
    for input in inputs.filter(|i| i.required || i.preset.is_some()) {
        line.push_str(&format!(" {}={}", input.name, quoted(input.preset.as_deref().unwrap_or_default())));
    }
    line
}

fn quoted(value: &str) -> String {
    if value.contains([' ', '"']) { format!("\"{}\"", value.replace('"', "'")) } else { value.to_owned() }
}

/// A start of a workflow as it was typed: the branch or tag, if one is named, and the inputs.
pub(crate) type Start = (Option<String>, Vec<(String, String)>);

/// Reads the line of [`start_line`].
///
/// # Errors
/// In words, if a part has no `=` or a quotation does not end.
pub(crate) fn read_start(line: &str) -> Result<Start, String> {
    let (mut words, mut word, mut inside) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => inside = !inside,
            ' ' if !inside => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    if inside {
        return Err("a quotation does not end".to_owned());
    }
    words.push(word);
    let (mut branch, mut inputs) = (None, Vec::new());
    for word in words.iter().filter(|w| !w.is_empty()) {
        match word.split_once('=') {
            Some(("ref", value)) => branch = Some(value.to_owned()).filter(|v| !v.is_empty()),
            Some((name, value)) if !name.is_empty() => inputs.push((name.to_owned(), value.to_owned())),
            _ => return Err(format!("`{word}`: write name=value")),
        }
    }
    Ok((branch, inputs))
}

#[cfg(test)]
mod tests {
    use dispatch_shared::protocol::actions::{DispatchInput, Trigger};

    use super::*;

    #[test]
    fn a_start_is_offered_filled_in_and_read_back() {
        let input = |name: &str, required, preset: Option<&str>| DispatchInput {
            name: name.into(),
            required,
            preset: preset.map(str::to_owned),
            ..DispatchInput::default()
        };
        let inputs =
            vec![input("level", true, Some("two words")), input("tag", true, None), input("x", false, None)];
        let trigger = Trigger { event: "workflow_dispatch".into(), inputs, ..Trigger::default() };
        let workflow = Workflow { triggers: vec![trigger], ..Workflow::default() };
        let line = start_line(&workflow, "main");
        assert_eq!(line, "ref=main level=\"two words\" tag=");
        let (branch, inputs) = read_start(&line).unwrap();
        assert_eq!(branch.as_deref(), Some("main"));
        assert_eq!(inputs, [("level".into(), "two words".into()), ("tag".to_owned(), String::new())]);
        assert_eq!(read_start("ref=main oops").unwrap_err(), "`oops`: write name=value");
        assert!(read_start("a=\"b").is_err());
    }
}

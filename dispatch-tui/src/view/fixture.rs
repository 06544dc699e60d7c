//! A board as the daemon would send it, for tests: one card in every state, at a time that stands still.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use dispatch_shared::Timestamp;
use dispatch_shared::claim::Attempt;
use dispatch_shared::event::Seq;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::{AgentName, ClaimId, IssueId, RepoName, RunId};
use dispatch_shared::issue::{Flag, IssueState, Status};
use dispatch_shared::protocol::claims::Claim;
use dispatch_shared::protocol::control::{Budget, Control, Freshness, Problem, ProblemKind, RateLimit};
use dispatch_shared::protocol::events::{Lane, Snapshot};
use dispatch_shared::protocol::issues::{CheckCounts, Issue, LinkedPull, RepositoryRef, WriteState};
use dispatch_shared::protocol::repos::Repo;
use dispatch_shared::protocol::runs::Run;
use dispatch_shared::run::{RuntimeKind, Usage};
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use crate::effect::Effect;
use crate::model::Model;
use crate::theme::Theme;
use crate::update::{Msg, News, What, present, update};

/// 2026-11-20 14:20 UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_795_184_400_000);

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn ago(secs: u64) -> Timestamp {
    NOW - Duration::from_secs(secs)
}

pub(crate) fn id(number: u64) -> IssueId {
    IssueId::new(format!("gh7-{number}"))
}

fn repo_name(text: &str) -> RepoName {
    text.parse().unwrap()
}

pub(crate) fn issue(number: u64, title: &str, column: Status, age: u64) -> Issue {
    let repo = repo_name("acme/api");
    Issue {
        id: id(number),
        issue_id: id(number),
        number,
        title: title.into(),
        url: format!("https://github.com/acme/api/issues/{number}"),
        state: if column == Status::Done { IssueState::Closed } else { IssueState::Open },
        body: None,
        labels: vec![column.label(), "priority/p2".into()],
        assignees: vec![],
        status: Some(column.label()),
        column,
        flags: vec![],
        priority: Some("priority/p2".into()),
        kind: None,
        lane: "local".into(),
        current_lane: "local".into(),
        agent: None,
        owner: None,
        repository: RepositoryRef { owner: "acme".into(), name: "api".into(), full_name: "acme/api".into() },
        repo_full_name: repo,
        decomposed: false,
        decomposed_note: None,
        follow_up_urls: vec![],
        groomed_at: None,
        linked_pr_number: None,
        linked_pr_url: None,
        linked_pr: None,
        other_prs: Vec::new(),
        claim: None,
        failures: 0,
        write: None,
        last_run: None,
        time_spent_seconds: 0,
        since: ago(age),
        created_at: ago(30 * DAY),
        updated_at: ago(age),
        closed_at: (column == Status::Done).then(|| ago(age)),
    }
}

pub(crate) fn run(n: u64, number: u64, state: &str, ended: bool) -> Run {
    Run {
        id: RunId(n),
        state: state.into(),
        ended,
        issue_id: Some(id(number)),
        repo_full_name: repo_name("acme/api"),
        issue_number: Some(number),
        subject: format!("#{number}"),
        workspace: format!("acme/api/issue-{number}"),
        by_hand: None,
        waiting: false,
        title: format!("Title of {number}"),
        agent_name: AgentName::new("claude-local"),
        program: "claude:opus".into(),
        claim_id: Some(ClaimId(n)),
        attempt: Attempt(1 << 32 | 1),
        runtime: Some(RuntimeKind::Podman),
        container: Some(format!("dispatch-r-{n}")),
        phases: vec![],
        created_at: ago(18 * MINUTE),
        ended_at: ended.then(|| ago(6 * MINUTE)),
        exit_code: None,
        reason: None,
        question: None,
        usage: Usage { input_tokens: 90_000, output_tokens: 6_200, cost_usd: Some(1.12), ..Usage::default() },
        lane: None,
        session: None,
        resumed: None,
        model: None,
        checks: Vec::new(),
        retry_at: None,
        branch: Some(format!("fix/issue-{number}")),
        pull_request_number: None,
        pull_request_url: None,
        last_event: None,
        last_output_at: Some(ago(5)),
        stopping: false,
    }
}

pub(crate) fn claim(n: u64, agent: &str) -> Claim {
    Claim {
        id: ClaimId(n),
        agent_name: AgentName::new(agent),
        attempt: Attempt(1 << 32 | 1),
        claimed_at: ago(18 * MINUTE),
        lease_expires_at: NOW + Duration::from_secs(4 * MINUTE),
        renew_every_seconds: 100,
        checkpoint: None,
        runner: true,
    }
}

fn pull(number: u64) -> LinkedPull {
    LinkedPull {
        number,
        url: format!("https://github.com/acme/api/pull/{number}"),
        state: PullState::Open,
        is_draft: false,
        head_sha: "abc".into(),
        review_decision: None,
        merge_state: None,
        checks: CheckCounts::default(),
        unresolved_threads: 0,
        needs_followup: false,
        followup_reasons: Vec::new(),
        checked_at: None,
        not_seen: Vec::new(),
    }
}

fn problem(kind: ProblemKind, age: u64, number: u64, run: Option<u64>, text: &str, action: &str) -> Problem {
    Problem {
        id: format!("{kind:?}-{number}"),
        kind,
        since: ago(age),
        subject: format!("acme/api#{number}"),
        text: text.into(),
        action: action.into(),
        issue_id: Some(id(number)),
        run_id: run.map(RunId),
        repo_full_name: Some(repo_name("acme/api")),
    }
}

pub(crate) fn control() -> Control {
    Control {
        frozen: false,
        running: 2,
        slots: 8,
        ready: 4,
        writes_pending: 1,
        paused_pools: vec![],
        budgets: vec![],
        waits: vec![],
        usage: vec![],
        today: Usage::default(),
        cost_today_usd: 6.2,
        rate_limit: Some(RateLimit { limit: 5000, remaining: 4310, reset_at: NOW }),
        budget: Budget::default(),
        sync: Freshness::default(),
        runtime: "podman".into(),
    }
}

fn repo(name: &str) -> Repo {
    let full = repo_name(name);
    Repo {
        name: full.name().into(),
        owner: full.owner().into(),
        full_name: full,
        forge: "github".into(),
        path: None,
        default_branch: "main".into(),
        source: "user".into(),
        enabled: true,
        runner_enabled: true,
        wip_limit: 3,
        lanes: Vec::new(),
        open_pr_count: 2,
        latest_commit_sha: None,
        failing_count: 0,
        running_count: 0,
        latest_release: None,
        columns: [3, 5, 4, 3, 3],
        last_synced_at: Some(ago(40)),
        sync_error: None,
        sync_failures: 0,
        standing: "active".into(),
    }
}

fn lane(id: &str, claimable: bool) -> Lane {
    let title = format!("{}{}", id[..1].to_uppercase(), &id[1..]);
    Lane { id: id.into(), title, claimable, role: None, description: None, color: None, default_agent: None }
}

/// The snapshot with one card in every state.
pub(crate) fn snapshot() -> Snapshot {
    use Status::{Backlog, Done, InProgress, InReview, Ready};
    let with = |mut i: Issue, change: &dyn Fn(&mut Issue)| {
        change(&mut i);
        i
    };
    let priority = |i: &mut Issue, p: u8| i.priority = Some(format!("priority/p{p}"));
    let issues = vec![
        issue(431, "Rate-limit logins", Backlog, 2 * DAY),
        issue(418, "Document the retry policy", Backlog, 5 * DAY),
        with(issue(396, "Rotate signing keys", Backlog, 8 * DAY), &|i| {
            i.write = Some(WriteState::Refused { reason: "403, token lacks issues:write".into() });
        }),
        with(issue(371, "Upgrade OpenSSL", Ready, 6 * MINUTE), &|i| {
            i.last_run = Some(RunId(2029));
            i.failures = 1;
            priority(i, 1);
        }),
        issue(412, "Retry webhooks", Ready, 9 * DAY),
        issue(409, "Paginate exports", Ready, 3 * DAY),
        with(issue(398, "Drop Node 18", Ready, 6 * DAY), &|i| i.flags = vec![Flag::Blocked]),
        with(issue(389, "Export CSV", Ready, 2 * DAY), &|i| i.write = Some(WriteState::Pending)),
        with(issue(390, "Round invoice totals", InProgress, 41 * MINUTE), &|i| {
            i.flags = vec![Flag::NeedsHuman];
            i.last_run = Some(RunId(2037));
            priority(i, 1);
        }),
        with(issue(377, "Cache policy lookups per org", InProgress, 18 * MINUTE), &|i| {
            i.last_run = Some(RunId(2041));
            i.claim = Some(claim(2041, "claude-local"));
            priority(i, 1);
        }),
        with(issue(385, "Flaky date test", InProgress, 2 * HOUR), &|i| {
            i.last_run = Some(RunId(2040));
            i.claim = Some(claim(2040, "codex-local"));
        }),
        with(issue(433, "Tidy docs", InProgress, HOUR), &|i| {
            i.claim = Some(Claim { runner: false, ..claim(77, "kai") });
            priority(i, 3);
        }),
        with(issue(359, "Trim image layers", InReview, 26 * HOUR), &|i| {
            i.linked_pr = Some(pull(805));
            i.linked_pr_url = Some("https://github.com/acme/api/pull/805".into());
        }),
        with(issue(352, "Split the config", InReview, 5 * HOUR), &|i| i.linked_pr = Some(pull(801))),
        issue(347, "Pin the base image", InReview, 50 * HOUR),
        issue(349, "Log request ids", Done, HOUR),
        issue(341, "Delete dead flags", Done, 3 * HOUR),
        with(issue(333, "Fix typo", Done, 2 * DAY), &|i| i.last_run = Some(RunId(1990))),
    ];
    let runs = vec![
        Run {
            reason: Some("stalled: no output for 15m".into()),
            attempt: Attempt(1 << 32 | 2),
            ..run(2029, 371, "stalled", true)
        },
        Run {
            question: Some("Invoice totals: round half-even or half-up?\nTests contain both; see tests/invoice.rs:41 and :88.".into()),
            ..run(2037, 390, "blocked", true)
        },
        Run { last_event: Some("cargo test -p policy".into()), ..run(2041, 377, "running", false) },
        Run {
            program: "codex".into(),
            last_output_at: Some(ago(4 * MINUTE)),
            last_event: Some("cloning".into()),
            usage: Usage::default(),
            ..run(2040, 385, "preparing", false)
        },
        Run { ended_at: Some(ago(2 * DAY)), ..run(1990, 333, "no-changes", true) },
    ];
    let problems = vec![
        problem(
            ProblemKind::Question,
            41 * MINUTE,
            390,
            Some(2037),
            "claude asks: \"round half-even or half-up?\"",
            "answer",
        ),
        problem(
            ProblemKind::Failed,
            6 * MINUTE,
            371,
            Some(2029),
            "run r-2029 stalled: no output for 15m; attempt 2",
            "retry",
        ),
        problem(
            ProblemKind::WriteRefused,
            3 * MINUTE,
            396,
            None,
            "GitHub refused status/ready: 403, token lacks issues:write",
            "move",
        ),
        problem(ProblemKind::Review, 26 * HOUR, 359, None, "PR 805 awaits review", "browser"),
        Problem {
            id: "sync-acme/infra".into(),
            issue_id: None,
            subject: "acme/infra".into(),
            repo_full_name: Some(repo_name("acme/infra")),
            ..problem(ProblemKind::Sync, 52 * MINUTE, 0, None, "sync stale: 502 from GitHub", "sync")
        },
        Problem {
            id: "pool-codex".into(),
            issue_id: None,
            subject: "codex".into(),
            repo_full_name: None,
            ..problem(
                ProblemKind::Pool,
                22 * MINUTE,
                0,
                None,
                "pool paused to 14:40: three failures under 60s",
                "resume",
            )
        },
    ];
    let mut infra = repo("acme/infra");
    infra.sync_error = Some("502 from GitHub, next try 14:31".into());
    infra.last_synced_at = Some(ago(52 * MINUTE));
    infra.runner_enabled = false;
    infra.columns = [0; 5];
    Snapshot {
        seq: Seq(100),
        issues,
        runs,
        repos: vec![repo("acme/api"), infra],
        control: control(),
        problems,
        lanes: vec![lane("local", true), lane("cloud", true), lane("backlog", false)],
    }
}

/// A model that is not connected.
pub(crate) fn empty(columns: u16, rows: u16) -> Model {
    let theme = Theme::default();
    let mut model = Model::new("unix:///run/user/1000/dispatch/v1.sock".into(), theme, TimeZone::UTC, NOW);
    send(&mut model, What::Resize(columns, rows));
    model
}

/// A model that shows [`snapshot`].
pub(crate) fn board(columns: u16, rows: u16) -> Model {
    let mut model = empty(columns, rows);
    send(&mut model, What::News(News::Snapshot(Box::new(snapshot()))));
    model
}

pub(crate) fn send(model: &mut Model, what: What) -> Vec<Effect> {
    let effects = update(model, Msg { now: NOW, what });
    present(model);
    effects
}

/// Presses keys as they are written in the help: `j`, `C-s`, `Enter`.
pub(crate) fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    keys.split(' ').flat_map(|name| send(model, What::Key(key(name)))).collect()
}

/// Types text character by character.
pub(crate) fn typed(model: &mut Model, text: &str) {
    for c in text.chars() {
        send(model, What::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
    }
}

fn key(name: &str) -> KeyEvent {
    let (name, modifiers) = match name.strip_prefix("C-") {
        Some(rest) => (rest, KeyModifiers::CONTROL),
        None => (name, KeyModifiers::NONE),
    };
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Tab" => KeyCode::Tab,
        "S-Tab" => KeyCode::BackTab,
        "Backspace" => KeyCode::Backspace,
        "Space" => KeyCode::Char(' '),
        one => KeyCode::Char(one.chars().next().unwrap()),
    };
    KeyEvent::new(code, modifiers)
}

/// The screen as cells.
pub(crate) fn cells(model: &Model) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| super::draw(model, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as text, without spaces at the ends of lines.
pub(crate) fn screen(model: &Model) -> String {
    let buffer = cells(model);
    let width = usize::from(buffer.area.width);
    let line = |row: &[ratatui::buffer::Cell]| {
        row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
    };
    buffer.content.chunks(width).map(line).collect::<Vec<_>>().join("\n")
}

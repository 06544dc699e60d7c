//! The GitHub forge against the fake GitHub: what it reads, what it writes, what it makes of every failure.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::RepoKey;
use dispatch_shared::issue::IssueState;
use dispatch_tests::github::fault::Fault;
use dispatch_tests::github::{FakeGithub, TOKEN, tracked};
use dispatchd::core::record::Repo;
use dispatchd::core::seen::{SeenIssue, SeenPull, SyncCursor};
use dispatchd::core::throttle::Priority;
use dispatchd::edges::{Clock, Edges, Forge, ForgeError, NewIssue, NewPull, StepHook, SystemClock};
use dispatchd::forge::github::GithubForge;
use dispatchd::secret::Secret;

const NAME: &str = "acme/api";

/// The system's time, moved by hand.
#[derive(Default)]
struct Shifted(AtomicI64);

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

impl Shifted {
    fn forward(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).expect("a span of a test is short"), Ordering::SeqCst);
    }
}

struct Scene {
    github: FakeGithub,
    forge: GithubForge,
    clock: Arc<Shifted>,
    repo: Repo,
}

fn forge(github: &FakeGithub, token: &str, edges: Edges) -> GithubForge {
    GithubForge::with_timeout(github.url(), Some(Secret::new(token)), edges, Duration::from_secs(2))
        .expect("a client can be made")
}

async fn scene() -> Scene {
    let github = FakeGithub::start().await;
    let id = github.add_repo("acme", "api");
    let clock = Arc::new(Shifted::default());
    let edges = Edges { clock: clock.clone(), ..Edges::default() };
    let forge = forge(&github, TOKEN, edges);
    Scene { github, forge, clock, repo: tracked(id, NAME) }
}

/// One whole read, as the sync does it.
#[derive(Debug, Default)]
struct Read {
    issues: Vec<SeenIssue>,
    pulls: Vec<SeenPull>,
    pages: usize,
    requests: usize,
}

impl Read {
    fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.issues.iter().map(|i| i.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

impl Scene {
    /// Reads everything that changed and moves the cursor, or leaves the cursor where it is.
    async fn read(&mut self) -> Result<Read, ForgeError> {
        let (mut read, mut page) = (Read::default(), None);
        loop {
            let got = self.forge.changes(&self.repo, page.as_deref()).await?;
            read.issues.extend(got.issues);
            read.pulls.extend(got.pulls);
            read.pages += 1;
            read.requests += got.requests;
            assert_eq!(got.gone, [] as [u64; 0], "a list never says what is gone");
            assert_eq!(got.next.is_none(), got.cursor.is_some(), "only the last page carries the cursor");
            if let Some(cursor) = got.cursor {
                self.repo.cursor = cursor;
                return Ok(read);
            }
            page = got.next;
        }
    }
}

#[tokio::test]
async fn many_issues_are_read_once_and_then_cost_one_conditional_request() {
    let mut s = scene().await;
    s.github.add_issues(NAME, 250);
    let first = s.read().await.unwrap();
    assert_eq!(first.numbers(), (1..=250).collect::<Vec<_>>());
    assert_eq!((first.pages, first.requests), (3, 4), "a probe and three pages");
    assert_eq!(s.github.take_requests().len(), 4);
    let null = first.issues.iter().find(|i| i.number == 1).unwrap();
    assert_eq!((null.body.as_str(), null.author.as_str()), ("", ""), "nulls survive");

    let second = s.read().await.unwrap();
    assert_eq!((second.issues.len(), second.requests), (0, 1));
    let asked = s.github.take_requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].status, 304);
    assert!(
        asked[0].header("if-none-match").unwrap().starts_with("W/\""),
        "the validator is given back verbatim"
    );

    s.github.label(NAME, 17, &["status/ready"], &[]);
    let third = s.read().await.unwrap();
    let changed = third.issues.iter().find(|i| i.number == 17).unwrap();
    assert_eq!(changed.labels, ["status/ready"]);
    assert!(third.issues.len() < 10, "only what is new, and the minutes of overlap: {}", third.issues.len());
    assert_eq!(s.read().await.unwrap().requests, 1);
}

#[tokio::test]
async fn issues_of_one_second_are_read_over_numbered_pages() {
    let mut s = scene().await;
    for n in 0..230 {
        s.github.add_issue(NAME, &format!("Imported {n}"), "", &[]);
    }
    assert_eq!(s.read().await.unwrap().numbers(), (1..=230).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_is_lost_when_issues_change_between_pages() {
    let s = scene().await;
    s.github.add_issues(NAME, 250);
    let first = s.forge.changes(&s.repo, None).await.unwrap();
    // These move to the end; by number of page, 101 to 105 would now stand on the page that was read already.
    for number in 1..=5 {
        s.github.label(NAME, number, &["moved"], &[]);
    }
    let mut seen: Vec<u64> = first.issues.iter().map(|i| i.number).collect();
    let mut next = first.next;
    while let Some(page) = next {
        let got = s.forge.changes(&s.repo, Some(&page)).await.unwrap();
        seen.extend(got.issues.iter().map(|i| i.number));
        next = got.next;
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (1..=250).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_validator_is_never_used_with_another_token() {
    let mut s = scene().await;
    s.github.add_issue(NAME, "One", "", &[]);
    s.read().await.unwrap();
    s.github.add_token("ghp_other");
    s.forge = forge(&s.github, "ghp_other", Edges::default());
    s.github.take_requests();
    assert_eq!(s.read().await.unwrap().numbers(), [1]);
    assert!(s.github.requests().iter().all(|r| r.header("if-none-match").is_none()));
    assert_eq!(s.read().await.unwrap().requests, 1);
    assert!(!format!("{:?}", s.repo.cursor).contains("ghp_"), "the cursor goes into the store");
}

#[tokio::test]
async fn an_empty_repository_costs_one_request() {
    let mut s = scene().await;
    assert_eq!(s.read().await.unwrap().requests, 1);
    assert_eq!(s.read().await.unwrap().requests, 1);
    s.github.add_issue(NAME, "One", "", &[]);
    assert_eq!(s.read().await.unwrap().numbers(), [1]);
}

#[tokio::test]
async fn pull_requests_are_no_issues_and_bring_what_matters() {
    let mut s = scene().await;
    let issue = s.github.add_issue(NAME, "A bug", "", &[]);
    let sha = s.github.push(NAME, "fix/issue-1-a-bug", "fix.txt", "fixed\n");
    let own = s.github.open_pull(NAME, "fix/issue-1-a-bug", "main", "Fix", &format!("Fixes #{issue}"));
    let fork = s.github.open_fork_pull(NAME, "fix", "From a fork", "Refs #1");
    let read = s.read().await.unwrap();
    assert_eq!(read.numbers(), [issue]);
    let by = |n| read.pulls.iter().find(|p| p.number == n).unwrap();
    assert_eq!((by(own).closes.as_slice(), by(own).head_sha.as_str()), ([issue].as_slice(), sha.as_str()));
    assert!(!by(own).from_fork && by(fork).from_fork);

    let sha = s.github.push(NAME, "fix/issue-1-a-bug", "fix.txt", "fixed better\n");
    let read = s.read().await.unwrap();
    assert_eq!(read.pulls.iter().find(|p| p.number == own).unwrap().head_sha, sha);
    s.github.merge(NAME, own);
    let read = s.read().await.unwrap();
    assert_eq!(read.pulls.iter().find(|p| p.number == own).unwrap().state, PullState::Merged);
    assert_eq!(read.issues.iter().find(|i| i.number == issue).unwrap().state, IssueState::Closed);
}

/// What an error is, without its words.
fn kind(error: &ForgeError) -> &'static str {
    match error {
        ForgeError::NotFound(_) => "not-found",
        ForgeError::Refused(_) => "refused",
        ForgeError::Unauthorized(_) => "unauthorized",
        ForgeError::RateLimited { .. } => "limited",
        ForgeError::Unreachable(_) => "unreachable",
    }
}

#[tokio::test]
async fn every_fault_is_what_it_is_and_loses_nothing() {
    let mut s = scene().await;
    s.github.add_issues(NAME, 120);
    let wait = Duration::from_secs(40);
    let faults = [
        (Fault::Status(401), "unauthorized"),
        (Fault::Status(403), "refused"),
        (Fault::Status(404), "not-found"),
        (Fault::Status(410), "not-found"),
        (Fault::Status(409), "refused"),
        (Fault::Status(422), "refused"),
        (Fault::Status(500), "unreachable"),
        (Fault::Status(503), "unreachable"),
        (Fault::PrimaryLimit(wait), "limited"),
        (Fault::SecondaryLimit, "limited"),
        (Fault::RetryAfter(wait), "limited"),
        (Fault::RetryAfterDate(wait), "limited"),
        (Fault::Html502, "unreachable"),
        (Fault::Html200, "unreachable"),
        (Fault::Nonsense, "unreachable"),
        (Fault::Slow(Duration::from_secs(4)), "unreachable"),
        (Fault::CutOff, "unreachable"),
        (Fault::Reset, "unreachable"),
        (Fault::Lost, "unreachable"),
    ];
    for (fault, expected) in faults {
        // The probe, the first page, and the second page fail in turn.
        for query in ["desc&per_page=30", "asc&per_page=100", "asc&per_page=100&since="] {
            let path = format!("GET /repos/{NAME}/issues?state=all&sort=updated&direction={query}");
            // What is not let in is tried once more, with the credential read anew.
            let times = if matches!(fault, Fault::Status(401)) { 2 } else { 1 };
            s.github.fail_next(&path, fault.clone(), times);
            s.repo.cursor = SyncCursor::default();
            let error = s.read().await.unwrap_err();
            assert_eq!(kind(&error), expected, "{fault:?}: {error}");
            assert!(error.to_string().contains(NAME), "{fault:?} does not name the repository: {error}");
            assert!(!error.to_string().contains(TOKEN));
            if let ForgeError::RateLimited { until, .. } = &error {
                let left = until.since(s.clock.now());
                assert!(
                    left > Duration::from_secs(35) && left < Duration::from_secs(125),
                    "{fault:?}: {left:?}"
                );
                let asked = s.github.requests().len();
                assert_eq!(kind(&s.read().await.unwrap_err()), "limited");
                assert_eq!(s.github.requests().len(), asked, "while it is to be quiet, nothing is asked");
                s.clock.forward(left + Duration::from_secs(1));
            }
            if times == 2 {
                let asked = s.github.requests().len();
                assert_eq!(kind(&s.read().await.unwrap_err()), "unauthorized");
                assert_eq!(s.github.requests().len(), asked, "a refused token is left alone for a while");
                s.clock.forward(Duration::from_secs(31));
            }
            assert_eq!(s.repo.cursor, SyncCursor::default(), "a failed read moves no cursor");
            assert_eq!(s.read().await.unwrap().numbers(), (1..=120).collect::<Vec<_>>(), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn labels_come_and_go_one_by_one_whatever_their_names() {
    let s = scene().await;
    let number = s.github.add_issue(NAME, "One", "", &["keep me"]);
    let odd = ["status/in progress", "50% done?", "🐛 bug", "a:b#c&d", "ümlaut", "..."];
    for label in odd {
        let now = s.forge.add_labels(&s.repo, number, &[label.to_owned()]).await.unwrap();
        assert!(now.contains(&label.to_owned()), "{label}: {now:?}");
    }
    for label in odd {
        s.forge.remove_label(&s.repo, number, label).await.unwrap();
        s.forge.remove_label(&s.repo, number, label).await.unwrap();
    }
    assert_eq!(s.github.labels(NAME, number), ["keep me"]);
    for dangerous in ["", ".", ".."] {
        assert_eq!(kind(&s.forge.remove_label(&s.repo, number, dangerous).await.unwrap_err()), "refused");
    }
    assert_eq!(s.github.labels(NAME, number), ["keep me"], "no name may stand for all labels");
    let too_long = s.forge.add_labels(&s.repo, number, &["x".repeat(51)]).await.unwrap_err();
    assert_eq!(kind(&too_long), "refused");
    assert!(too_long.to_string().contains("name invalid"), "GitHub's own words: {too_long}");
    let gone = s.forge.remove_label(&s.repo, 99, "bug").await.unwrap_err();
    assert_eq!(kind(&gone), "not-found");
}

#[tokio::test]
async fn a_comment_is_made_once_though_the_answer_was_lost() {
    let s = scene().await;
    let number = s.github.add_issue(NAME, "One", "", &[]);
    let marker = "<!-- dispatch:i-7 -->";
    let body = format!("Hello\n\n{marker}");
    s.github.fail_next("POST /repos/acme/api/issues/1/comments", Fault::Lost, 1);
    assert_eq!(kind(&s.forge.comment(&s.repo, number, &body, marker).await.unwrap_err()), "unreachable");
    s.forge.comment(&s.repo, number, &body, marker).await.unwrap();
    s.forge.comment(&s.repo, number, "Other", "<!-- dispatch:i-8 -->").await.unwrap();
    assert_eq!(s.github.comments(NAME, number), [body.as_str(), "Other\n\n<!-- dispatch:i-8 -->"]);
}

#[tokio::test]
async fn what_people_said_is_read_from_the_end_and_without_dispatchs_own() {
    let s = scene().await;
    let number = s.github.add_issue(NAME, "One", "", &[]);
    let say = |text: &str| s.github.say(NAME, number, Some("eve"), "CONTRIBUTOR", text);
    let read = async || {
        s.github.take_requests();
        let read = s.forge.comments(&s.repo, number).await.unwrap();
        let texts: Vec<String> = read.list.into_iter().map(|c| c.text).collect();
        (texts, read.older, s.github.take_requests().len())
    };
    assert_eq!(read().await, (vec![], false, 1));
    s.github.say(NAME, number, None, "NONE", "First");
    s.forge.comment(&s.repo, number, "Begun", "<!-- dispatch:i-7 -->").await.unwrap();
    say("2");
    let all = s.forge.comments(&s.repo, number).await.unwrap().list;
    let who: Vec<_> = all.iter().map(|c| (c.author.as_str(), c.association.as_str())).collect();
    assert_eq!(who, [("", "NONE"), ("eve", "CONTRIBUTOR")]);
    assert!(all.iter().all(|c| c.at.is_some()));
    assert_eq!(read().await, (vec!["First".into(), "2".into()], false, 1));

    let numbers = |from: u64, to: u64| (from..=to).map(|n| n.to_string()).collect::<Vec<_>>();
    // Two pages: the second has too few, and the first is there already.
    (3..=109).for_each(|n| say(&n.to_string()));
    let (texts, older, requests) = read().await;
    assert_eq!((texts[1..].to_vec(), older, requests), (numbers(2, 109), false, 2));
    // Of three or four pages the last alone, if it has enough.
    (110..=240).for_each(|n| say(&n.to_string()));
    let (texts, older, requests) = read().await;
    assert_eq!((texts, older, requests), (numbers(200, 240), true, 2));
    // Else the one before it as well.
    (241..=310).for_each(|n| say(&n.to_string()));
    let (texts, older, requests) = read().await;
    assert_eq!((texts, older, requests), (numbers(200, 310), true, 3));
    // Where Dispatch alone spoke for pages, it is not looked for without end.
    for n in 0..600 {
        say(&format!("Again <!-- dispatch:i-{n} -->"));
    }
    let (texts, older, requests) = read().await;
    assert_eq!((texts, older, requests), (vec![], true, 4));
}

#[tokio::test]
async fn comments_that_cannot_be_read_are_an_error_on_whichever_page() {
    let s = scene().await;
    let number = s.github.add_issue(NAME, "One", "", &[]);
    (0..101).for_each(|_| s.github.say(NAME, number, Some("eve"), "NONE", "Me too"));
    for (fault, expected) in [
        (Fault::Status(404), "not-found"),
        (Fault::Status(410), "not-found"),
        (Fault::Html502, "unreachable"),
        (Fault::Nonsense, "unreachable"),
        (Fault::CutOff, "unreachable"),
    ] {
        for path in ["GET /repos/acme/api/issues/1/comments", "GET /repositories/"] {
            s.github.fail_next(path, fault.clone(), 1);
            let error = s.forge.comments(&s.repo, number).await.unwrap_err();
            assert_eq!(kind(&error), expected, "{fault:?}: {error}");
            assert!(error.to_string().contains("the comments of acme/api#1"), "{error}");
        }
    }
    assert_eq!(s.forge.comments(&s.repo, number).await.unwrap().list.len(), 101);
    s.github.fail_next("GET /repos/acme/api/issues/1/comments", Fault::Nulls, 1);
    let nulls = s.forge.comments(&s.repo, number).await.unwrap();
    assert_eq!((nulls.list.len(), nulls.list[0].author.as_str()), (101, ""), "nulls survive");
}

#[tokio::test]
async fn a_comment_that_is_too_long_is_cut_with_a_mark() {
    let s = scene().await;
    let number = s.github.add_issue(NAME, "One", "", &[]);
    let marker = "<!-- dispatch:i-7 -->";
    s.forge.comment(&s.repo, number, &"ä".repeat(65_537), marker).await.unwrap();
    let comments = s.github.comments(NAME, number);
    assert_eq!(comments.len(), 1);
    assert_eq!(comments[0].chars().count(), 65_536, "as long as GitHub takes it");
    assert!(comments[0].contains("(cut: longer than a comment may be)") && comments[0].ends_with(marker));
}

#[tokio::test]
async fn a_pull_request_is_opened_once() {
    let s = scene().await;
    let new = NewPull {
        title: "Fix it".into(),
        body: "Fixes #4".into(),
        head: "fix/issue-4".into(),
        base: "main".into(),
    };
    let error = s.forge.open_pull(&s.repo, &new).await.unwrap_err();
    assert_eq!(kind(&error), "refused", "the branch is not there");
    assert!(error.to_string().contains("head invalid"), "{error}");
    assert_eq!(s.forge.find_pull(&s.repo, &new.head).await.unwrap(), None);

    let sha = s.github.push(NAME, &new.head, "a.txt", "a\n");
    s.github.fail_next("POST /repos/acme/api/pulls", Fault::Lost, 1);
    assert_eq!(kind(&s.forge.open_pull(&s.repo, &new).await.unwrap_err()), "unreachable");
    let opened = s.forge.open_pull(&s.repo, &new).await.unwrap();
    assert_eq!((opened.head_sha.as_str(), opened.closes.as_slice()), (sha.as_str(), [4].as_slice()));
    assert_eq!(s.github.pulls(NAME).len(), 1, "the one that is there is returned");
    assert_eq!(s.forge.pull(&s.repo, opened.number).await.unwrap(), opened);
    assert_eq!(s.forge.find_pull(&s.repo, &new.head).await.unwrap(), Some(opened));
}

#[tokio::test]
async fn a_renamed_repository_is_followed_and_another_one_is_not() {
    let mut s = scene().await;
    s.github.add_issue(NAME, "One", "", &[]);
    s.github.rename_repo(NAME, "acme/backend");
    assert_eq!(s.forge.repository(&s.repo).await.unwrap().name.to_string(), "acme/backend");
    assert_eq!(s.read().await.unwrap().numbers(), [1]);
    s.forge.add_labels(&s.repo, 1, &["bug".into()]).await.unwrap();
    assert_eq!(s.github.labels("acme/backend", 1), ["bug"]);

    let other = s.github.add_repo("acme", "api");
    s.github.add_issue(NAME, "Of another repository", "", &[]);
    s.repo.cursor = SyncCursor::default();
    let error = s.read().await.unwrap_err();
    assert_eq!(kind(&error), "not-found", "what has taken the name is not read: {error}");
    assert_eq!(
        s.forge.repository(&s.repo).await.unwrap().name.to_string(),
        "acme/backend",
        "found by its id"
    );
    s.github.remove_repo("acme/backend");
    let error = s.forge.repository(&s.repo).await.unwrap_err();
    assert_eq!(kind(&error), "not-found");
    assert!(error.to_string().contains(&format!("gh{other}")), "{error}");
    let untracked = Repo { key: RepoKey::new(""), ..tracked(0, NAME) };
    assert_eq!(s.forge.repository(&untracked).await.unwrap().key, RepoKey::new(format!("gh{other}")));
}

#[tokio::test]
async fn a_transferred_issue_is_gone_and_never_written_to() {
    let s = scene().await;
    s.github.add_repo("acme", "other");
    let number = s.github.add_issue(NAME, "One", "", &[]);
    let there = s.github.transfer(NAME, number, "acme/other");
    let error = s.forge.issue(&s.repo, number).await.unwrap_err();
    assert_eq!(kind(&error), "not-found");
    assert!(error.to_string().contains("another repository"), "{error}");
    let label = ["bug".to_owned()];
    assert_eq!(kind(&s.forge.add_labels(&s.repo, number, &label).await.unwrap_err()), "not-found");
    assert_eq!(
        kind(&s.forge.comment(&s.repo, number, "Hello", "<!-- m -->").await.unwrap_err()),
        "not-found"
    );
    assert_eq!(s.github.labels("acme/other", there), [] as [&str; 0]);
    assert_eq!(s.github.comments("acme/other", there), [] as [&str; 0]);
}

#[tokio::test]
async fn only_addresses_on_the_same_host_are_followed() {
    let s = scene().await;
    let token = r#"{"url":"http://127.0.0.1:1/repositories/1/issues","etag":null,"newest":null,"pulls":false,"read":0,"total":null}"#;
    let error = s.forge.changes(&s.repo, Some(token)).await.unwrap_err();
    assert!(error.to_string().contains("another host"), "{error}");
    assert_eq!(s.github.requests().len(), 0);
}

#[tokio::test]
async fn the_token_is_in_one_header_and_nowhere_else() {
    let mut s = scene().await;
    s.github.add_issue(NAME, "One", "", &[]);
    s.read().await.unwrap();
    s.forge.add_labels(&s.repo, 1, &["bug".into()]).await.unwrap();
    for request in s.github.requests() {
        assert!(!request.path.contains(TOKEN), "{}", request.path);
        let with: Vec<&str> =
            request.headers.iter().filter(|(_, v)| v.contains(TOKEN)).map(|(n, _)| n.as_str()).collect();
        assert_eq!(with, ["authorization"]);
        assert_eq!(request.header("accept"), Some("application/vnd.github+json"));
        assert_eq!(request.header("x-github-api-version"), Some("2022-11-28"));
    }
    assert!(!format!("{:?}", s.forge).contains(TOKEN));
    let left = s.forge.budget().resources;
    assert_eq!((left.len(), left[0].resource.as_str(), left[0].limit), (1, "core", 5_000));
    assert!(left[0].remaining < 5_000);
}

/// Remembers the steps and fails them all.
#[derive(Default)]
struct Refusing(Mutex<Vec<&'static str>>);

impl StepHook for Refusing {
    fn before(&self, name: &'static str) -> std::io::Result<()> {
        self.0.lock().expect("nobody panics while it is locked").push(name);
        Err(std::io::Error::other("a fault that was asked for"))
    }
}

#[tokio::test]
async fn every_write_tells_the_hook_first() {
    let s = scene().await;
    s.github.add_issue(NAME, "One", "", &["bug"]);
    let hook = Arc::new(Refusing::default());
    let edges = Edges { hook: hook.clone(), ..Edges::default() };
    let forge = forge(&s.github, TOKEN, edges);
    forge.add_labels(&s.repo, 1, &["x".into()]).await.unwrap_err();
    forge.remove_label(&s.repo, 1, "bug").await.unwrap_err();
    forge.comment(&s.repo, 1, "Hello", "<!-- m -->").await.unwrap_err();
    let pull = NewPull { title: "T".into(), body: String::new(), head: "h".into(), base: "main".into() };
    forge.open_pull(&s.repo, &pull).await.unwrap_err();
    let steps = ["forge.add_labels", "forge.remove_label", "forge.comment", "forge.open_pull"];
    assert_eq!(*hook.0.lock().unwrap(), steps);
    assert!(s.github.requests().iter().all(|r| !r.is_write()), "nothing was written");
}

#[tokio::test]
async fn git_is_served_with_the_credential_of_the_remote() {
    let s = scene().await;
    let remote = s.forge.remote(&s.repo).await.unwrap();
    assert_eq!(remote.url, format!("{}acme/api.git", s.github.url()));
    let (user, password) = remote.credential.clone().unwrap();
    assert_eq!((user.as_str(), password.expose()), ("x-access-token", TOKEN));
    assert!(!format!("{remote:?}").contains(TOKEN));

    let dir = tempfile::TempDir::new().unwrap();
    let git = |args: &[&str], helper: bool| {
        let mut command = tokio::process::Command::new("git");
        let reply = "!f() { echo username=x-access-token; echo \"password=$FAKE_TOKEN\"; }; f";
        command.current_dir(dir.path()).env("GIT_TERMINAL_PROMPT", "0").env("FAKE_TOKEN", TOKEN);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        if helper {
            command.args(["-c", &format!("credential.helper={reply}")]);
        }
        command.args(["-c", "user.name=Kai", "-c", "user.email=kai@example.com"]).args(args);
        async move { command.output().await.unwrap() }
    };
    assert!(!git(&["clone", &remote.url, "nope"], false).await.status.success(), "without a credential");
    let cloned = git(&["clone", &remote.url, "repo"], true).await;
    assert!(cloned.status.success(), "{}", String::from_utf8_lossy(&cloned.stderr));
    assert!(dir.path().join("repo/README.md").is_file());
    for args in [
        &["-C", "repo", "checkout", "-b", "fix/issue-1"][..],
        &["-C", "repo", "commit", "--allow-empty", "-m", "Fix"],
        &["-C", "repo", "push", "origin", "fix/issue-1"],
    ] {
        let out = git(args, true).await;
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
    let head = git(&["-C", "repo", "rev-parse", "HEAD"], false).await;
    let head = String::from_utf8_lossy(&head.stdout).trim().to_owned();
    assert_eq!(s.github.head(NAME, "fix/issue-1"), Some(head));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_made_once_and_only_its_text_is_changed() {
    let scene = scene().await;
    let new = NewIssue {
        title: "A part".into(),
        body: "Part of #1.\n\n<!-- dispatch:i-7 -->".into(),
        labels: vec!["priority/p1".into()],
        marker: "<!-- dispatch:i-7 -->".into(),
        since: SystemClock.now(),
    };
    // The answer is lost: GitHub has made it, and nobody here knows.
    scene.github.fail_next("POST /repos/acme/api/issues", Fault::Lost, 1);
    let lost = scene.forge.create_issue(&scene.repo, &new).await;
    assert!(matches!(lost, Err(ForgeError::Unreachable(_))), "{lost:?}");
    let made = scene.forge.create_issue(&scene.repo, &new).await.expect("it is found by its marker");
    assert_eq!((made.title.as_str(), &made.labels), ("A part", &new.labels));
    let again = scene.forge.create_issue(&scene.repo, &new).await.expect("and once more");
    assert_eq!(again.number, made.number, "one marker, one issue");
    scene.forge.set_body(&scene.repo, made.number, "- [ ] #9 x").await.expect("the text can be changed");
    let live = scene.forge.issue(&scene.repo, made.number).await.expect("it is there");
    assert_eq!((live.body.as_str(), live.state, live.labels), ("- [ ] #9 x", IssueState::Open, made.labels));
}

#[tokio::test]
async fn an_enterprise_server_is_served_below_its_own_path() {
    let github = FakeGithub::start_enterprise().await;
    assert!(github.url().path().ends_with("/api/v3"), "{}", github.url());
    let id = github.add_repo("acme", "api");
    github.add_issues(NAME, 120);
    let edges = Edges::default();
    let forge = forge(&github, TOKEN, edges);
    let mut s = Scene { github, forge, clock: Arc::default(), repo: tracked(id, NAME) };
    assert_eq!(s.read().await.unwrap().numbers(), (1..=120).collect::<Vec<_>>());
    s.github.label(NAME, 3, &["bug"], &[]);
    assert_eq!(
        s.read().await.unwrap().numbers(),
        [3, 118, 119, 120],
        "what changed, and the last two minutes"
    );
    s.forge.add_labels(&s.repo, 1, &["a b/c".into()]).await.unwrap();
    s.forge.remove_label(&s.repo, 1, "a b/c").await.unwrap();
    s.github.rename_repo(NAME, "acme/backend");
    assert_eq!(s.forge.repository(&s.repo).await.unwrap().name.to_string(), "acme/backend");
    let asked = s.github.requests();
    assert!(asked.iter().all(|r| r.path.starts_with("/api/v3/")), "{asked:?}");
    let remote = s.forge.remote(&s.repo).await.unwrap();
    let origin = s.github.url().origin().ascii_serialization();
    assert_eq!(remote.url, format!("{origin}/acme/api.git"), "git is served at the root");
    let _ = s.forge.graphql(serde_json::json!({ "query": "{ viewer { login } }" }), "asking").await;
    assert_eq!(s.github.requests().last().unwrap().path, "/api/graphql");
}

#[tokio::test]
async fn the_token_never_goes_to_another_host() {
    let s = scene().await;
    let other = FakeGithub::start().await;
    s.github.add_issue(NAME, "One", "", &[]);
    let away = |path: &str| Fault::Away(format!("{}{path}", other.url()));
    for path in ["repos/acme/api/issues", "repositories/1001/issues"] {
        s.github.fail_next("GET /repos", away(path), 1);
        let error = s.forge.changes(&s.repo, None).await.unwrap_err();
        assert!(error.to_string().contains("another host"), "{error}");
        assert!(!error.to_string().contains(TOKEN));
    }
    s.github.fail_next("POST /repos", away("repos/acme/api/issues/1/labels"), 1);
    s.forge.add_labels(&s.repo, 1, &["bug".into()]).await.unwrap_err();
    assert_eq!(other.requests().len(), 0, "not even without the token");
}

#[tokio::test]
async fn what_somebody_waits_for_goes_while_the_background_rests() {
    let s = scene().await;
    s.github.add_issues(NAME, 3);
    s.github.set_remaining(300);
    s.forge.issue(&s.repo, 1).await.unwrap();
    let background = s.forge.at(Priority::Scheduled);
    let asked = s.github.requests().len();
    let error = background.issue(&s.repo, 1).await.unwrap_err();
    assert_eq!(kind(&error), "limited");
    assert!(error.to_string().contains("299 of 5000 core points are left"), "{error}");
    assert_eq!(s.github.requests().len(), asked, "it was not asked");
    s.forge.issue(&s.repo, 1).await.unwrap();
    s.forge.at(Priority::Write).add_labels(&s.repo, 1, &["bug".into()]).await.unwrap();
    let budget = s.forge.budget();
    assert_eq!(budget.resources[0].remaining, 297);
    let slowed = budget.slowed.expect("the sync is slowed");
    assert!(slowed.reason.contains("points are left") && slowed.until > s.clock.now(), "{slowed:?}");
}

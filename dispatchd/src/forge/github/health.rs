//! The health of many pull requests by GraphQL.
//!
//! 1. One query for a batch, over all repositories. What came with an error is asked for once more alone; a batch that the
//!    host cannot answer is halved, so that one pull request that is too heavy for it delays no other.
//! 2. Further pages of checks and threads, where there are any.
//! 3. What was said, for those alone where something is wrong.
//!
//! Where there is no GraphQL (an old Enterprise, a token that may not use it), and for what it may not show, REST answers
//! instead; that cannot tell which threads are resolved, and says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::assemble::Found;
use super::graph::{self, Complaint};
use super::{GithubForge, query};
use crate::core::fix::look::Points;
use crate::core::record::Repo;
use crate::edges::{ForgeError, HealthAsk, HealthLook};

/// Pull requests in one query: a query of so many costs one point and stays far from the ten seconds that GitHub allows.
const BATCH: usize = 25;
/// Queries that fail in a row before the host is taken to be down: as many halvings as single out one pull request.
const FAILURES: usize = 6;
/// Pages of 100 that are read of one list.
const PAGES: usize = 10;
/// How long GraphQL is taken to be absent once it was not there.
const ABSENT: Duration = Duration::from_secs(3_600);

/// What one pull request came to, before its details.
enum Answer {
    Seen(Box<Found>),
    /// Not by GraphQL: REST may see it.
    Elsewhere,
    Failed(ForgeError),
}

impl GithubForge {
    /// Installations of an App see only what is theirs: each is asked apart.
    pub(super) async fn read_health(&self, asked: &[HealthAsk]) -> Result<HealthLook, ForgeError> {
        let mut by_identity: BTreeMap<Arc<str>, Vec<HealthAsk>> = BTreeMap::new();
        for ask in asked {
            by_identity.entry(self.identity(&ask.repo.name)).or_default().push(ask.clone());
        }
        let (mut all, mut failed) = (HealthLook::default(), None);
        for asked in by_identity.values() {
            let client = self.client.speaking_for(&asked[0].repo.name);
            let forge = Self { client, no_graphql: self.no_graphql.clone(), secrets: self.secrets.clone() };
            match forge.read_health_of(asked).await {
                Ok(look) => {
                    all.answers.extend(look.answers);
                    all.points = look.points.or(all.points);
                    all.cost += look.cost;
                    all.requests += look.requests;
                }
                // One that cannot be asked is no reason to leave out the others.
                Err(error) => {
                    all.failed(asked, &error);
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if by_identity.len() == 1 => Err(error),
            _ => Ok(all),
        }
    }

    async fn read_health_of(&self, asked: &[HealthAsk]) -> Result<HealthLook, ForgeError> {
        let mut look = HealthLook::default();
        let mut found = Vec::new();
        for batch in asked.chunks(BATCH) {
            if self.has_graphql() {
                match self.read_batch(batch, &mut look).await {
                    Ok(seen) => found.extend(seen),
                    // What was seen before the limit is used.
                    Err(limited) if !found.is_empty() => {
                        look.failed(batch, &limited);
                        continue;
                    }
                    Err(limited) => return Err(limited),
                }
            } else {
                found.extend(batch.iter().map(|ask| (ask, Answer::Elsewhere)));
            }
        }
        let mut seen: Vec<(&HealthAsk, Box<Found>)> = Vec::new();
        for (ask, answer) in found {
            match answer {
                Answer::Seen(one) => seen.push((ask, one)),
                Answer::Failed(error) => look.answers.push((ask.clone(), Err(error))),
                Answer::Elsewhere => {
                    let health = self.rest_health(&ask.repo, ask.pr, &mut look.requests).await;
                    look.answers.push((ask.clone(), health));
                }
            }
        }
        for (ask, one) in &mut seen {
            self.read_on(ask, one, &mut look).await;
        }
        self.read_details(&mut seen, &mut look).await;
        look.answers.extend(seen.into_iter().map(|(ask, one)| (ask.clone(), Ok(one.health()))));
        Ok(look)
    }

    fn has_graphql(&self) -> bool {
        let absent = *self.no_graphql.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        absent.is_none_or(|until| until <= self.client.edges.clock.now())
    }

    fn graphql_is_absent(&self, why: &str) {
        tracing::warn!(
            why,
            "GraphQL cannot be used: the health of pull requests is read by REST for an hour"
        );
        let until = self.client.edges.clock.now() + ABSENT;
        *self.no_graphql.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(until);
    }

    /// One batch, halved where it has to be. The error is a limit or a bad credential, which concern everything.
    async fn read_batch<'a>(
        &self,
        batch: &'a [HealthAsk],
        look: &mut HealthLook,
    ) -> Result<Vec<(&'a HealthAsk, Answer)>, ForgeError> {
        let mut done: Vec<(&HealthAsk, Answer)> = Vec::new();
        let mut todo = vec![batch];
        let mut failures = 0;
        while let Some(part) = todo.pop() {
            match self.read_part(part, look).await {
                Ok(answers) => {
                    failures = 0;
                    for (ask, answer, again) in answers {
                        if again && part.len() > 1 {
                            todo.push(std::slice::from_ref(ask));
                        } else {
                            done.push((ask, answer));
                        }
                    }
                }
                Err(error @ (ForgeError::RateLimited { .. } | ForgeError::Unauthorized(_))) => {
                    if done.is_empty() {
                        return Err(error);
                    }
                    for rest in std::iter::once(part).chain(todo.drain(..)) {
                        done.extend(rest.iter().map(|ask| (ask, Answer::Failed(error.clone()))));
                    }
                }
                Err(ForgeError::NotFound(why) | ForgeError::Refused(why)) => {
                    self.graphql_is_absent(&why);
                    for rest in std::iter::once(part).chain(todo.drain(..)) {
                        done.extend(rest.iter().map(|ask| (ask, Answer::Elsewhere)));
                    }
                }
                Err(error) => {
                    failures += 1;
                    if failures >= FAILURES {
                        for rest in std::iter::once(part).chain(todo.drain(..)) {
                            done.extend(rest.iter().map(|ask| (ask, Answer::Failed(error.clone()))));
                        }
                    } else if part.len() > 1 {
                        let (first, second) = part.split_at(part.len().div_ceil(2));
                        todo.push(second);
                        todo.push(first);
                    } else {
                        done.extend(part.iter().map(|ask| (ask, Answer::Failed(error.clone()))));
                    }
                }
            }
        }
        Ok(done)
    }

    /// One query. With each answer: whether it is worth asking once more alone.
    async fn read_part<'a>(
        &self,
        part: &'a [HealthAsk],
        look: &mut HealthLook,
    ) -> Result<Vec<(&'a HealthAsk, Answer, bool)>, ForgeError> {
        let mut repos: Vec<(&Repo, Vec<u64>)> = Vec::new();
        let mut places = Vec::new();
        for ask in part {
            let at = repos.iter().position(|(r, _)| r.key == ask.repo.key).unwrap_or_else(|| {
                repos.push((&ask.repo, Vec::new()));
                repos.len() - 1
            });
            repos[at].1.push(ask.pr);
            places.push((ask, format!("r{at}"), format!("p{}", ask.pr)));
        }
        let what = match part {
            [one] => format!("looking at pull request {}#{}", one.repo.name, one.pr),
            many => format!("looking at {} pull requests", many.len()),
        };
        let (data, errors) =
            self.query::<graph::Pulls>(query::pulls(&repos), Value::Null, &what, look).await?;
        look.learn(data.rate_limit);
        let mut repositories = data.repositories;
        let mut homes: BTreeMap<String, Option<u64>> = BTreeMap::new();
        for (alias, repository) in &repositories {
            homes.insert(alias.clone(), repository.as_ref().and_then(|r| r.database_id));
        }
        let mut answers = Vec::new();
        for (ask, r, p) in places {
            let home = homes.get(&r).copied().flatten();
            let expected = ask.repo.key.as_str();
            if let Some(id) = home.filter(|id| expected != format!("gh{id}")) {
                let why = format!("{what} failed: {} is another repository now (gh{id})", ask.repo.name);
                answers.push((ask, Answer::Failed(ForgeError::NotFound(why)), false));
                continue;
            }
            let pull =
                repositories.get_mut(&r).and_then(Option::as_mut).and_then(|r| r.pulls.remove(&p)).flatten();
            let mine = |e: &&Complaint| e.is_below(&[&r, &p]) || (pull.is_none() && e.path == [r.as_str()]);
            let errors: Vec<Complaint> = errors.iter().filter(mine).cloned().collect();
            let again = !errors.is_empty() && errors.iter().any(is_passing);
            let answer = match pull {
                Some(pull) => {
                    let blind = errors.iter().filter_map(|e| e.field(2)).map(str::to_owned).collect();
                    Answer::Seen(Box::new(Found::new(pull, home, blind)))
                }
                None => match errors.first() {
                    Some(e) if is_forbidden(e) => Answer::Elsewhere,
                    Some(e) if e.kind.as_deref() == Some("NOT_FOUND") => {
                        Answer::Failed(ForgeError::NotFound(format!("{what} failed: {}", e.message)))
                    }
                    Some(e) => {
                        Answer::Failed(ForgeError::Unreachable(format!("{what} failed: {}", e.message)))
                    }
                    None => Answer::Failed(ForgeError::Unreachable(format!("{what} failed: nothing came"))),
                },
            };
            answers.push((ask, answer, again));
        }
        Ok(answers)
    }

    /// The pages after the first.
    async fn read_on(&self, ask: &HealthAsk, found: &mut Found, look: &mut HealthLook) {
        let what = format!("looking at pull request {}#{}", ask.repo.name, ask.pr);
        for _ in 1..PAGES {
            let Some(after) = found.more_contexts.take() else { break };
            let variables = json!({ "id": found.pull.id, "after": after });
            let more = self.query::<graph::More>(query::more_contexts(), variables, &what, look).await;
            let page = more.ok().and_then(|(more, _)| {
                look.learn(more.rate_limit);
                let node = more.node.filter(|n| n.head_ref_oid.as_ref() == Some(&found.pull.head_ref_oid))?;
                node.status_check_rollup?.contexts
            });
            match page {
                Some(page) => found.contexts(page),
                None => {
                    found.blind.insert("statusCheckRollup".to_owned());
                    break;
                }
            }
        }
        for _ in 1..PAGES {
            let Some(after) = found.more_threads.take() else { break };
            let variables = json!({ "id": found.pull.id, "after": after });
            let more = self.query::<graph::More>(query::more_threads(), variables, &what, look).await;
            let page = more.ok().and_then(|(more, _)| {
                look.learn(more.rate_limit);
                more.node?.review_threads
            });
            match page {
                Some(page) => found.threads(page),
                None => {
                    found.blind.insert("reviewThreads".to_owned());
                    break;
                }
            }
        }
        found.unread();
        // A token may see the checks by REST and not by GraphQL.
        if found.blind.contains("statusCheckRollup") {
            let head = found.pull.head_ref_oid.clone();
            if let Ok(checks) = self.rest_checks(&ask.repo, &head, &mut look.requests).await {
                found.by_rest(checks);
            }
        }
    }

    /// What was said, where something is wrong.
    async fn read_details(&self, seen: &mut [(&HealthAsk, Box<Found>)], look: &mut HealthLook) {
        let mut wanted = query::Details::default();
        for (_, found) in seen.iter() {
            found.wants(&mut wanted);
        }
        while let Some((query, variables)) = wanted.next() {
            let asked: Vec<String> = variables
                .as_object()
                .into_iter()
                .flat_map(|o| o.values())
                .flat_map(|ids| ids.as_array().into_iter().flatten())
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect();
            match self.query::<graph::Details>(query, variables, "reading reviews and checks", look).await {
                Ok((details, _)) => {
                    look.learn(details.rate_limit);
                    let mut said = super::assemble::Said::of(details);
                    seen.iter_mut().for_each(|(_, found)| found.hear(&mut said));
                }
                Err(error) => tracing::warn!(%error, asked = asked.len(), "what was said is not known"),
            }
        }
    }

    /// Sends a query. The data, however little of it there is, and the errors beside it.
    async fn query<T: DeserializeOwned>(
        &self,
        query: String,
        variables: Value,
        what: &str,
        look: &mut HealthLook,
    ) -> Result<(T, Vec<Complaint>), ForgeError> {
        look.requests += 1;
        let body = if variables.is_null() {
            json!({ "query": query })
        } else {
            json!({ "query": query, "variables": variables })
        };
        let reply: graph::Reply<T> = self.client.query(body, what).await?.json(what)?;
        match reply.data {
            Some(data) => Ok((data, reply.errors)),
            None => {
                let said: Vec<&str> = reply.errors.iter().map(|e| e.message.as_str()).collect();
                let said = format!("{what} failed: GraphQL says: {}", said.join("; "));
                // Without a path and a kind it is the host that failed; else the query, or the token.
                let refused = reply.errors.iter().any(|e| is_forbidden(e) || is_misunderstood(e));
                Err(if refused { ForgeError::Refused(said) } else { ForgeError::Unreachable(said) })
            }
        }
    }
}

fn is_forbidden(error: &Complaint) -> bool {
    matches!(error.kind.as_deref(), Some("FORBIDDEN" | "INSUFFICIENT_SCOPES"))
}

/// A field or a type that this host does not know.
fn is_misunderstood(error: &Complaint) -> bool {
    error.message.contains("doesn't exist on type") || error.message.starts_with("No such type")
}

/// Whether asking again may help.
fn is_passing(error: &Complaint) -> bool {
    !is_forbidden(error) && error.kind.as_deref() != Some("NOT_FOUND")
}

impl HealthLook {
    fn learn(&mut self, said: Option<graph::RateLimit>) {
        if let Some(said) = said {
            self.cost += said.cost;
            self.points =
                Some(Points { limit: said.limit, remaining: said.remaining, reset_at: said.reset_at });
        }
    }

    fn failed(&mut self, asked: &[HealthAsk], error: &ForgeError) {
        self.answers.extend(asked.iter().map(|ask| (ask.clone(), Err(error.clone()))));
    }
}

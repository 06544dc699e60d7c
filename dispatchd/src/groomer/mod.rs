//! The hosted groomer: asks a model about one issue a call, and carries out what it says as far as a groomer may.
//!
//! - [`settings`]: where the model is. `prompt`: what it is told. `endpoint`: the one request. `verdict`: its answer,
//!   validated.
//!
//! It changes nothing unless asked to: a run is a dry one by default. What it decides goes through the same core command
//! as an outside groomer's decision, with the run in the same commit; an issue that changed while the model thought, or
//! that somebody took, is left alone. The issue's text is untrusted: whatever it makes the model say, only allowed labels,
//! configured lanes and plain text come through.

mod endpoint;
mod prompt;
pub mod settings;
mod verdict;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;
use dispatch_shared::issue::IssueState;
use dispatch_shared::protocol::grooming::{GroomerOutput, GroomerRun, GroomerStatus};
use tokio::sync::Mutex;

use self::endpoint::Endpoint;
use self::settings::Settings;
use crate::core::command::{Command, Reply};
use crate::core::grooming::{self, Groom};
use crate::core::record::{Card, CardKey};
use crate::core::world::World;
use crate::edges::Edges;
use crate::ledger::{Door, Fault};

/// Under this name it acts.
const ACTOR: &str = "hosted-groomer";

/// What is asked of it.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Change nothing; `None` is as configured.
    pub dry_run: Option<bool>,
    /// Only this repository.
    pub repo: Option<RepoKey>,
    /// Exactly this card.
    pub card: Option<CardKey>,
    /// Also one that does not wait for grooming.
    pub force: bool,
    /// Who asks.
    pub actor: String,
}

/// See the module.
pub struct Groomer {
    ledger: Door,
    edges: Edges,
    settings: Settings,
    endpoint: Endpoint,
    turn: Mutex<()>,
}

/// What became of asking the model.
enum Heard {
    Decided(GroomerOutput, Option<(u64, u64)>),
    /// The answer is of no use: counts against the issue.
    Useless(String, Option<(u64, u64)>),
    /// Nobody answered: says nothing about the issue.
    Silent(String),
}

impl Groomer {
    /// A groomer that does nothing until asked.
    ///
    /// # Errors
    /// A sentence, if no TLS client can be made here.
    pub fn new(ledger: Door, edges: Edges, settings: Settings) -> Result<Self, String> {
        let endpoint = Endpoint::new(settings.clone())?;
        Ok(Self { ledger, edges, settings, endpoint, turn: Mutex::default() })
    }

    /// Grooms one issue. What goes wrong with the model is a run that failed.
    ///
    /// # Errors
    /// If the ledger fails.
    pub async fn run(&self, ask: Ask) -> Result<GroomerRun, Fault> {
        // One at a time: two runs would choose the same issue.
        let _turn = self.turn.lock().await;
        let world = self.ledger.snapshot();
        let started_at = self.edges.clock.now();
        let blank = GroomerRun {
            id: 0,
            status: GroomerStatus::Idle,
            dry_run: ask.dry_run.unwrap_or(self.settings.dry_run),
            issue_id: None,
            repo_full_name: None,
            issue_number: None,
            model: None,
            output: None,
            error: None,
            tokens: None,
            actor: ask.actor.clone(),
            started_at,
            finished_at: started_at,
        };
        let card = match choose(&world, started_at, &ask) {
            Ok(card) => card,
            Err(why) => return Ok(GroomerRun { error: Some(why), ..blank }),
        };
        let repo = world.repos.get(&card.key.repo);
        let run = GroomerRun {
            issue_id: Some(card.key.id()),
            repo_full_name: repo.map(|r| r.name.clone()),
            issue_number: Some(card.key.number),
            model: Some(self.settings.model.clone()),
            ..blank
        };
        let heard = self.ask(&world, &card).await;
        let run = GroomerRun { finished_at: self.edges.clock.now(), ..run };
        let run = match heard {
            Heard::Decided(output, tokens) => {
                return self.carry_out(&card, GroomerRun { output: Some(output), tokens, ..run }).await;
            }
            Heard::Useless(why, tokens) => self.failed(GroomerRun { tokens, ..run }, why, true).await?,
            Heard::Silent(why) => self.failed(run, why, false).await?,
        };
        Ok(run)
    }

    async fn ask(&self, world: &World, card: &Card) -> Heard {
        let Some(repo) = world.repos.get(&card.key.repo) else {
            return Heard::Silent("the repository is not known".to_owned());
        };
        let body = match self.ledger.body(&card.key) {
            Ok(body) => body,
            Err(fault) => return Heard::Silent(fault.to_string()),
        };
        let allowed = prompt::allowed(world, card);
        let prompt = prompt::make(&world.policy, repo, card, &body, &allowed, self.settings.max_context);
        let prompt = match prompt {
            Ok(prompt) => prompt,
            Err(why) => return Heard::Silent(why),
        };
        match self.endpoint.ask(&prompt).await {
            Err(why) => Heard::Silent(why),
            Ok(said) => match verdict::read(&said.content, &world.policy, &allowed) {
                Ok(output) => Heard::Decided(output, said.tokens),
                Err(why) => Heard::Useless(why, said.tokens),
            },
        }
    }

    async fn carry_out(&self, card: &Card, run: GroomerRun) -> Result<GroomerRun, Fault> {
        let Some(output) = run.output.clone() else { return Ok(run) };
        if run.dry_run {
            return self.keep(GroomerRun { status: GroomerStatus::DryRunCompleted, ..run }, false).await;
        }
        let run = GroomerRun { status: GroomerStatus::Completed, ..run };
        let groom = Groom {
            card: card.key.clone(),
            action: output.action,
            summary: Some(output.summary),
            reason: output.reason,
            labels: output.labels,
            lane: output.lane.map(|lane| (lane, output.confidence, self.settings.model.clone())),
            seen: Some(card.updated_at),
            run: Some(run.clone()),
            actor: ACTOR.to_owned(),
        };
        match self.ledger.submit(Command::Groom(Box::new(groom))).await {
            Ok((Reply::Groomed { run: Some(id), .. }, _)) => Ok(GroomerRun { id, ..run }),
            Ok(_) => Ok(run),
            Err(Fault::Refused(refusal)) => self.failed(run, refusal.to_string(), false).await,
            Err(fault) => Err(fault),
        }
    }

    async fn failed(&self, run: GroomerRun, why: String, counts: bool) -> Result<GroomerRun, Fault> {
        tracing::warn!(repo = ?run.repo_full_name, issue = run.issue_number, why, "grooming failed");
        self.keep(GroomerRun { status: GroomerStatus::Failed, error: Some(why), ..run }, counts).await
    }

    async fn keep(&self, run: GroomerRun, counts: bool) -> Result<GroomerRun, Fault> {
        let counts = counts && !run.dry_run;
        match self.ledger.submit(Command::GroomerRun { run: Box::new(run.clone()), counts }).await? {
            (Reply::Groomed { run: Some(id), .. }, _) => Ok(GroomerRun { id, ..run }),
            _ => Ok(run),
        }
    }
}

/// The issue to groom, or why there is none.
fn choose(world: &World, now: Timestamp, ask: &Ask) -> Result<Card, String> {
    let key = match &ask.card {
        Some(key) => key.clone(),
        None => {
            let repos = ask.repo.as_ref().map(std::slice::from_ref);
            grooming::next(world, now, None, repos).ok_or_else(|| match world.meta.frozen {
                true => "the queue is frozen".to_owned(),
                false => "no issue waits for grooming".to_owned(),
            })?
        }
    };
    let card = world.cards.get(&key).ok_or_else(|| format!("there is no issue {}", key.id()))?;
    if card.state == IssueState::Closed {
        return Err("the issue is closed".to_owned());
    }
    if ask.card.is_some() && !ask.force && grooming::turn(world, card).is_none() {
        return Err(
            "the issue does not wait for grooming: it was groomed, moved, flagged, taken or excluded; force \
                    grooms it all the same"
                .to_owned(),
        );
    }
    Ok((**card).clone())
}

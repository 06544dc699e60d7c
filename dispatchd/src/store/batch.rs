//! The rows of one commit, encoded and coalesced: of several changes to one row the last one is written.

use std::collections::BTreeMap;

use redb::{TableDefinition, WriteTransaction};

use super::codec::{CodecError, encode};
use super::table;
use crate::core::automation::index::{NEWS_KEPT, SYNCS_KEPT};
use crate::core::change::Change;
use crate::core::fix::DELIVERIES_KEPT;

type Rows<K> = BTreeMap<K, Vec<u8>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Batch {
    meta: Option<Vec<u8>>,
    repos: Rows<String>,
    cards: Rows<(String, u64)>,
    bodies: Rows<(String, u64)>,
    pulls: Rows<(String, u64)>,
    claims: Rows<u64>,
    runs: Rows<u64>,
    intents: Rows<u64>,
    reports: Rows<String>,
    groomer_runs: Rows<u64>,
    fixes: Rows<(String, u64)>,
    deliveries: Rows<u64>,
    audit: Rows<u64>,
    agent_runs: Rows<u64>,
    facts: Rows<String>,
    news: Rows<(String, u64)>,
    sync_runs: Rows<(String, u64)>,
    events: Rows<u64>,
}

impl Batch {
    /// Encodes the rows of one decision. Done before the decision is taken up, so that one that cannot be written
    /// harms no other.
    pub(super) fn encode(changes: &[Change]) -> Result<Self, CodecError> {
        let mut batch = Self::default();
        for change in changes {
            batch.add(change)?;
        }
        Ok(batch)
    }

    fn add(&mut self, change: &Change) -> Result<(), CodecError> {
        match change {
            Change::Meta(meta) => self.meta = Some(encode(table::FACTS, meta)?),
            Change::Repo(repo) => {
                self.repos.insert(repo.key.as_str().into(), encode(&repo.key, repo)?);
            }
            Change::Card(card) => {
                let key = (card.key.repo.as_str().into(), card.key.number);
                self.cards.insert(key, encode(&card.key, card.as_ref())?);
            }
            Change::Body(card, body) => {
                self.bodies.insert((card.repo.as_str().into(), card.number), encode(card, body)?);
            }
            Change::Pull(pull) => {
                let key = (pull.repo.as_str().to_owned(), pull.seen.number);
                let bytes = encode(&key, pull)?;
                self.pulls.insert(key, bytes);
            }
            Change::Claim(claim) => drop(self.claims.insert(claim.id.0, encode(claim.id, claim)?)),
            Change::Run(run) => drop(self.runs.insert(run.id.0, encode(run.id, run.as_ref())?)),
            Change::Intent(intent) => drop(self.intents.insert(intent.id.0, encode(intent.id, intent)?)),
            Change::Report(report) => {
                self.reports.insert(report.key.clone(), encode(&report.key, report)?);
            }
            Change::GroomerRun(run) => drop(self.groomer_runs.insert(run.id, encode(run.id, run)?)),
            Change::Fix(fix) => {
                self.fixes.insert((fix.key.repo.as_str().into(), fix.key.pr), encode(&fix.key, fix)?);
            }
            Change::Delivery(delivery) => {
                let slot = delivery.n % DELIVERIES_KEPT;
                self.deliveries.insert(slot, encode(slot, delivery)?);
            }
            Change::Audit(row) => drop(self.audit.insert(row.id, encode(row.id, row)?)),
            Change::AgentRun(run) => drop(self.agent_runs.insert(run.id.0, encode(run.id, run)?)),
            Change::Facts(facts) => {
                self.facts.insert(facts.repo.as_str().into(), encode(&facts.repo, &**facts)?);
            }
            Change::News(told) => {
                let slot = (told.repo.as_str().to_owned(), told.n % NEWS_KEPT);
                let bytes = encode(&slot, told)?;
                self.news.insert(slot, bytes);
            }
            Change::SyncRun(run) => {
                let slot = (run.repo.as_str().to_owned(), run.n % SYNCS_KEPT);
                let bytes = encode(&slot, run)?;
                self.sync_runs.insert(slot, bytes);
            }
            Change::Event(event) => drop(self.events.insert(event.seq.0, encode(event.seq, event)?)),
        }
        Ok(())
    }

    /// Takes up the rows of a later decision.
    pub(super) fn merge(&mut self, later: Self) {
        if later.meta.is_some() {
            self.meta = later.meta;
        }
        self.repos.extend(later.repos);
        self.cards.extend(later.cards);
        self.bodies.extend(later.bodies);
        self.pulls.extend(later.pulls);
        self.claims.extend(later.claims);
        self.runs.extend(later.runs);
        self.intents.extend(later.intents);
        self.reports.extend(later.reports);
        self.groomer_runs.extend(later.groomer_runs);
        self.fixes.extend(later.fixes);
        self.deliveries.extend(later.deliveries);
        self.audit.extend(later.audit);
        self.agent_runs.extend(later.agent_runs);
        self.facts.extend(later.facts);
        self.news.extend(later.news);
        self.sync_runs.extend(later.sync_runs);
        self.events.extend(later.events);
    }

    /// Writes every row; nothing is durable before the transaction is committed.
    pub(super) fn write(&self, txn: &WriteTransaction) -> Result<(), redb::Error> {
        let by_card = |rows: &Rows<(String, u64)>, table| {
            put(txn, table, rows.iter().map(|((repo, number), row)| ((repo.as_str(), *number), row)))
        };
        let by_text =
            |rows: &Rows<String>, table| put(txn, table, rows.iter().map(|(key, row)| (key.as_str(), row)));
        let by_number = |rows: &Rows<u64>, table| put(txn, table, rows.iter().map(|(key, row)| (*key, row)));
        put(txn, table::META, self.meta.iter().map(|row| (table::FACTS, row)))?;
        by_text(&self.repos, table::REPOS)?;
        by_card(&self.cards, table::CARDS)?;
        by_card(&self.bodies, table::BODIES)?;
        by_card(&self.pulls, table::PULLS)?;
        by_number(&self.claims, table::CLAIMS)?;
        by_number(&self.runs, table::RUNS)?;
        by_number(&self.intents, table::INTENTS)?;
        by_text(&self.reports, table::REPORTS)?;
        by_number(&self.groomer_runs, table::GROOMER_RUNS)?;
        by_card(&self.fixes, table::FIXES)?;
        by_number(&self.deliveries, table::DELIVERIES)?;
        by_number(&self.audit, table::AUDIT)?;
        by_number(&self.agent_runs, table::AGENT_RUNS)?;
        by_text(&self.facts, table::FACTS_OF)?;
        by_card(&self.news, table::NEWS)?;
        by_card(&self.sync_runs, table::SYNC_RUNS)?;
        by_number(&self.events, table::EVENTS)
    }
}

fn put<'a, K: redb::Key + 'static>(
    txn: &WriteTransaction,
    definition: TableDefinition<'static, K, &'static [u8]>,
    rows: impl Iterator<Item = (K::SelfType<'a>, &'a Vec<u8>)>,
) -> Result<(), redb::Error> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut table = txn.open_table(definition)?;
    for (key, row) in rows {
        table.insert(key, row.as_slice())?;
    }
    Ok(())
}

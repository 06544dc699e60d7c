//! What is asked of the world: each answer costs a look or two into an index.

use std::sync::Arc;

use dispatch_shared::Timestamp;
use dispatch_shared::id::{AgentName, IssueId, RepoKey, RepoName};
use imbl::OrdSet;

use super::{Bucket, World};
use crate::core::rank::Rule;
use crate::core::record::{Card, CardKey, Claim, Intent, Pull, Repo, Run};

impl World {
    /// How many cards the index withholds for which rule.
    pub fn withheld_counts(&self) -> impl Iterator<Item = (Rule, usize)> {
        self.withheld.iter().map(|(rule, count)| (*rule, *count))
    }

    /// Cards that may want a person: see [`crate::core::problem`].
    pub fn attention(&self) -> impl Iterator<Item = &Arc<Card>> {
        self.attention.iter().filter_map(|key| self.cards.get(key))
    }

    /// Cards that may be in contradiction: see [`crate::core::reconcile`].
    pub fn suspects(&self) -> impl Iterator<Item = &CardKey> {
        self.suspects.iter()
    }

    /// The ready cards nobody holds, by bucket; what only time or other cards decide is not looked at.
    pub fn ready(&self) -> impl Iterator<Item = (&Bucket, &OrdSet<(Timestamp, u64)>)> {
        self.ready.iter()
    }

    /// Cards that would be ready, but for a rule that a request may lift.
    pub fn aside(&self) -> impl Iterator<Item = &Arc<Card>> {
        self.aside.iter().filter_map(|key| self.cards.get(key))
    }

    /// The lane that a card is worked in: set by hand, else by its label, else the default. May name a lane that is not
    /// configured.
    #[must_use]
    pub fn lane_of<'a>(&'a self, card: &'a Card) -> &'a str {
        let named = card.lane_override.as_deref().or_else(|| crate::core::lane::labelled(&card.labels));
        match named {
            Some(text) => self.policy.lane(text).map_or(text, |l| l.id.as_str()),
            None => crate::core::lane::escalated(&self.policy, &card.labels)
                .unwrap_or_else(|| self.policy.default_lane()),
        }
    }

    /// The tracked repository of this name, however it is cased.
    #[must_use]
    pub fn repo_named(&self, name: &RepoName) -> Option<&Arc<Repo>> {
        self.repos.get(self.names.get(&name.folded())?)
    }

    /// The tracked repositories.
    pub fn tracked(&self) -> impl Iterator<Item = &Arc<Repo>> {
        self.repos.values().filter(|r| r.tracked)
    }

    /// Whether the repository is on the board.
    #[must_use]
    pub fn is_tracked(&self, repo: &RepoKey) -> bool {
        self.repos.get(repo).is_some_and(|r| r.tracked)
    }

    /// Whether work may begin in the repository: it is tracked, and its forge lets it be changed.
    #[must_use]
    pub fn takes_work(&self, repo: &RepoKey) -> bool {
        self.repos.get(repo).is_some_and(|r| r.tracked && r.access.standing.takes_work())
    }

    /// The card with this id on the wire.
    #[must_use]
    pub fn card_by_id(&self, id: &IssueId) -> Option<&Arc<Card>> {
        let (repo, number) = id.parts()?;
        self.cards.get(&CardKey { repo, number })
    }

    /// All cards of a repository.
    #[must_use]
    pub fn cards_of(&self, repo: &RepoKey) -> Vec<Arc<Card>> {
        let from = CardKey { repo: repo.clone(), number: 0 };
        let to = CardKey { repo: repo.clone(), number: u64::MAX };
        self.cards.range(from..=to).map(|(_, card)| card.clone()).collect()
    }

    /// All pull requests of a repository.
    pub fn pulls_of<'a>(&'a self, repo: &RepoKey) -> impl Iterator<Item = &'a Arc<Pull>> + use<'a> {
        self.pulls.range((repo.clone(), 0)..=(repo.clone(), u64::MAX)).map(|(_, pull)| pull)
    }

    /// The pull request linked to a card.
    #[must_use]
    pub fn linked_pull(&self, card: &Card) -> Option<&Arc<Pull>> {
        self.pulls.get(&(card.key.repo.clone(), card.linked_pull?))
    }

    /// The pull requests that say they belong to a card: by closing reference or by branch name.
    pub fn pulls_for(&self, card: &CardKey) -> impl Iterator<Item = &Arc<Pull>> {
        let repo = card.repo.clone();
        self.pulls_for
            .get(card)
            .into_iter()
            .flatten()
            .filter_map(move |n| self.pulls.get(&(repo.clone(), *n)))
    }

    /// The pending intents of a card, in the order in which they are carried out.
    pub fn pending(&self, card: &CardKey) -> impl Iterator<Item = &Arc<Intent>> {
        self.pending.get(card).into_iter().flatten().filter_map(|id| self.intents.get(id))
    }

    /// The live claim on a card.
    #[must_use]
    pub fn held(&self, card: &CardKey) -> Option<&Arc<Claim>> {
        self.newest_claim(card).filter(|c| c.is_held())
    }

    /// The newest claim on a card, live or ended.
    #[must_use]
    pub fn newest_claim(&self, card: &CardKey) -> Option<&Arc<Claim>> {
        self.claims.get(self.newest_claim.get(card)?)
    }

    /// The live claims of an agent, oldest first.
    pub fn held_by(&self, agent: &AgentName) -> impl Iterator<Item = &Arc<Claim>> {
        self.held_by.get(agent).into_iter().flatten().filter_map(|id| self.claims.get(id))
    }

    /// All live claims, the first to run out first.
    pub fn leases(&self) -> impl Iterator<Item = &Arc<Claim>> {
        self.leases.iter().filter_map(|(_, id)| self.claims.get(id))
    }

    /// Cards that rest after a failure, and until when, the first to be over first.
    pub fn rests(&self) -> impl Iterator<Item = &(Timestamp, CardKey)> {
        self.rests.iter()
    }

    /// When a lease runs out or a rest, a pause or a budget's day is over next, so that somebody lets time pass then. Leases of the built-in runner
    /// are not among these while their run lives, but for one that waits: nobody renews that but time.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let lease = self
            .leases()
            .find(|c| {
                !c.run.and_then(|id| self.runs.get(&id)).is_some_and(|r| r.state.is_live() && !r.waiting)
            })
            .map(|c| c.expires_at);
        let rest = self.rests.get_min().map(|(until, _)| *until);
        let pauses = self.meta.pools.iter().filter_map(|p| p.paused.as_ref().map(|p| p.until)).min();
        let alarms = self.meta.alarms.iter().map(|a| a.until).min();
        [lease, rest, pauses, alarms].into_iter().flatten().min()
    }

    /// Runs that are not over, oldest first.
    pub fn live_runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.live_runs.iter().filter_map(|id| self.runs.get(id))
    }

    /// Runs that wait for a free slot, oldest first.
    pub fn waiting_runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.live_runs().filter(|run| run.waiting)
    }

    /// The newest claim on a card that was taken away.
    #[must_use]
    pub fn revoked_claim(&self, card: &CardKey) -> Option<&Arc<Claim>> {
        self.claims.get(self.revoked.get(card)?)
    }

    /// Open cards in review in a repository.
    #[must_use]
    pub fn open_reviews(&self, repo: &RepoKey) -> usize {
        self.open_reviews.get(repo).copied().unwrap_or(0)
    }
}

//! The contract `Integrity`: walks over every list there is, and looks whether what each entry says agrees with the rest
//! (docs/KEYS.md §5). What seems to be wrong is believed only if all that was read is still so in one commit, which is
//! the one that mends it; so what is in motion is never a finding. Decision 0014.

use std::fmt::Display;

use async_trait::async_trait;
use bytes::Bytes;
use oci::AccountName;
use proto::metadata::{
    Actor, Integrity, More, ReclaimError,
    audit::Action,
    integrity::{Checked, Counts, Finding, Kind, Mending, Outcome as Became},
};

use crate::{
    Outcome, Service,
    audit::Audit,
    keyspace::{Commit, Condition, Direction, Error, Key, MemberRange, Mutation, Record},
    step,
};

use walk::Cursor;

mod accounts;
mod blobs;
mod entries;
mod manifests;
mod organizations;
mod repositories;
mod tags;
mod trash;
mod walk;
mod words;

/// Pages in one step: most lists are short.
const PAGES: usize = 400;

/// Entries after which a step ends.
const ENTRIES: usize = 4_000;

/// Findings after which a step ends.
const FINDINGS: usize = 500;

/// How often a page is looked at if something in it has changed meanwhile.
const LOOKS: usize = 3;

#[async_trait]
impl Integrity for Service {
    async fn check(
        &self,
        cursor: Option<&str>,
        mending: Mending,
        actor: &Actor,
    ) -> Result<Checked, ReclaimError> {
        let mut cursor = Cursor::read(cursor);
        let (mut checked, mut entries) = (Checked::default(), 0);
        for _ in 0..PAGES {
            let (seen, next) = self.check_page(&cursor, (mending, actor), &mut checked.findings).await?;
            checked.counts.add(&seen.counts);
            let Some(next) = next else { return Ok(checked) };
            cursor = next;
            entries += seen.entries;
            if entries >= ENTRIES || checked.findings.len() >= FINDINGS {
                break;
            }
        }

        checked.next = cursor.written();
        Ok(checked)
    }
}

/// What was seen in a page.
#[derive(Debug, Default)]
struct Seen {
    suspects: Vec<Suspect>,
    counts: Counts,
    /// Of lists.
    entries: usize,
}

impl Seen {
    fn suspect(&mut self, suspect: Suspect) {
        self.suspects.push(suspect);
    }

    fn add(&mut self, other: Self) {
        self.suspects.extend(other.suspects);
        self.counts.add(&other.counts);
        self.entries += other.entries;
    }
}

/// What seems to be wrong, and by what.
#[derive(Debug)]
struct Suspect {
    kind: Kind,
    subject: String,
    /// All that makes it wrong, as it was read.
    as_read: Vec<Condition>,
    /// What makes it right; nothing does without bytes or a guess, if this is empty.
    mended: Vec<Mutation>,
    /// Whose rights are less then.
    loses: Option<AccountName>,
}

impl Suspect {
    fn new(kind: Kind, subject: impl Display) -> Self {
        let (as_read, mended) = (Vec::new(), Vec::new());
        Self { kind, subject: subject.to_string(), as_read, mended, loses: None }
    }

    fn when(mut self, condition: Condition) -> Self {
        self.as_read.push(condition);
        self
    }

    fn when_all(mut self, conditions: impl IntoIterator<Item = Condition>) -> Self {
        self.as_read.extend(conditions);
        self
    }

    fn mended_by(mut self, mutation: Mutation) -> Self {
        self.mended.push(mutation);
        self
    }

    fn mended_by_all(mut self, mutations: impl IntoIterator<Item = Mutation>) -> Self {
        self.mended.extend(mutations);
        self
    }

    fn telling_of(self, user: &AccountName) -> Self {
        Self { loses: Some(user.clone()), ..self }
    }

    fn found(&self, outcome: Became) -> Finding {
        Finding { kind: self.kind, subject: self.subject.clone(), outcome }
    }
}

impl Service {
    /// Looks at a page, and again if something in it has changed since it was read.
    async fn check_page(
        &self,
        cursor: &Cursor,
        by: (Mending, &Actor),
        findings: &mut Vec<Finding>,
    ) -> Result<(Seen, Option<Cursor>), Error> {
        let mut looks = LOOKS;
        loop {
            let (seen, next) = self.look(cursor).await?;
            let mut moved = More::No;
            for suspect in &seen.suspects {
                match self.concluded(suspect, by).await? {
                    Some(outcome) if !findings.contains(&suspect.found(outcome)) => {
                        findings.push(suspect.found(outcome));
                    }
                    Some(_) => {}
                    None => moved = More::Yes,
                }
            }

            looks -= 1;
            if moved == More::No || looks == 0 {
                return Ok((seen, next));
            }
        }
    }

    /// What became of it; none: it is not as it was read any more.
    async fn concluded(
        &self,
        suspect: &Suspect,
        (mending, actor): (Mending, &Actor),
    ) -> Result<Option<Became>, Error> {
        let (commit, became) = match (mending, suspect.mended.is_empty()) {
            (Mending::Repair, false) => (self.mending(suspect, actor).await?, Became::Mended),
            (Mending::Report, false) => (Commit::relaxed(), Became::Mendable),
            (_, true) => (Commit::relaxed(), Became::Unmendable),
        };
        let commit = commit.when_all(suspect.as_read.iter().cloned());
        let outcome = self.commit(step!("check"), commit).await?;
        if outcome == Outcome::Committed && became == Became::Mended {
            tracing::info!(kind = suspect.kind.name(), subject = suspect.subject, "metadata was mended");
        }
        Ok((outcome == Outcome::Committed).then_some(became))
    }

    async fn mending(&self, suspect: &Suspect, actor: &Actor) -> Result<Commit, Error> {
        let audit = Audit::of_hub(Action::MetadataRepair).label(&suspect.subject).to(suspect.kind);
        let mut commit = Commit::synced();
        if let Some(user) = &suspect.loses {
            commit = commit.telling(self.user_revoked(user).await?);
        }
        let commit = commit.then_all(suspect.mended.iter().cloned());
        Ok(commit.beginning_with(self.audited(actor, &audit).await?))
    }

    /// Whether an ordered set has a member.
    async fn contains(&self, key: &Key, member: impl Into<Bytes>) -> Result<bool, Error> {
        let range = only(member.into());
        Ok(!self.keyspace().range(key, range, 1, Direction::Forward).await?.is_empty())
    }

    /// A hash, unless it has more fields than can be read at once.
    async fn whole(&self, key: &Key) -> Result<Option<Record>, Error> {
        match self.keyspace().record(key).await {
            Ok(record) => Ok(Some(record.unwrap_or_default())),
            Err(Error::Limit { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn only(member: Bytes) -> MemberRange {
    MemberRange::starting_at(member.clone()).through(member)
}

/// The ordered set does not have the member.
fn lacks(key: &Key, member: impl Into<Bytes>) -> Condition {
    Condition::Members { key: key.clone(), members: only(member.into()), count: 0 }
}

/// It has, and shall not.
fn unlisted(key: &Key, member: &Bytes) -> (Condition, Mutation) {
    let has = Condition::has_member(key.clone(), member.clone());
    (has, Mutation::RemoveMember(key.clone(), member.clone()))
}

//! A commit that lies in several groups. It takes them in one order, each if its conditions hold there; it is decided by
//! one write in the first; how it is done then, and how it lets go, is in `ending.rs`.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::future::try_join_all;
use ulid::Ulid;

use super::{
    Sharded, by_group, in_order,
    patience::Patience,
    plan::{Apart, Mode, Run},
    vacant,
};
use crate::{
    keys::spread::{ALONE, Group, PROGRESS, WORK},
    keyspace::{Commit, CommitError, Condition, Error, Field, Key, Keyspace, Mutation, apply::sum},
};

/// Not decided: whoever is in need of the group may give it up.
pub(super) const BEGUN: Bytes = Bytes::from_static(b"begun");
/// It is done, whoever does it.
pub(super) const DECIDED: Bytes = Bytes::from_static(b"decided");

/// A commit that is under way, and where it began.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) id: String,
    pub(super) first: Group,
}

/// What became of taking a group.
enum Taken {
    Held,
    /// Somebody has it.
    Occupied,
    /// Somebody has given up the claim on it.
    Lost,
    /// A condition does not hold; its place in the commit.
    Conflict(usize),
}

impl Taken {
    /// From the place of a condition behind the one that lets a commit in.
    fn conflict(apart: &Apart, place: usize, condition: usize) -> Self {
        let asked = apart.conditions[place].get(condition.saturating_sub(1));
        Self::Conflict(asked.map_or(0, |(index, _)| *index))
    }
}

/// What became of trying to commit, or to take a group.
enum Attempt {
    Done,
    /// Somebody has given it up, for want of the group.
    GivenUp,
}

impl Holder {
    pub(super) fn field(&self) -> Field {
        Field::new(self.id.clone())
    }

    /// What the locks of a group say: how many runs are done there, how it is held, and where the commit began.
    pub(super) fn standing(&self, done: usize, mode: Mode) -> Bytes {
        format!("{done} {} {}", mode.letter(), self.first.as_str()).into()
    }

    pub(super) fn begun(&self) -> Key {
        self.first.begun(&self.id)
    }
}

/// The conditions of one group, behind the one that lets the commit in.
fn asking(entrance: Condition, apart: &Apart, place: usize) -> Commit {
    let conditions = apart.conditions[place].iter().map(|(_, condition)| condition.clone());
    Commit::synced().when(entrance).when_all(conditions)
}

/// What says that the commit has the group and, where it begins, what it is about to do.
fn entered(holder: &Holder, apart: &Apart, place: usize) -> Vec<Mutation> {
    let (group, mode) = &apart.work.held[place];
    let locks = group.locks();
    let mut entered = vec![Mutation::SetField(locks.clone(), holder.field(), holder.standing(0, *mode))];
    if *mode == Mode::Alone {
        entered.push(Mutation::SetField(locks, ALONE, holder.id.clone().into()));
    }
    if place == 0 {
        entered.push(Mutation::SetField(holder.begun(), WORK, apart.work.encode()));
        entered.push(Mutation::SetField(holder.begun(), PROGRESS, BEGUN));
    }
    entered
}

impl<K: Keyspace> Sharded<K> {
    pub(super) async fn commit_apart(&self, apart: &Apart) -> Result<(), CommitError> {
        self.check_sums(&apart.work.runs).await?;
        let mut patience = Patience::new(self.waits);
        loop {
            match self.attempt(apart, &mut patience).await? {
                Attempt::Done => return Ok(()),
                Attempt::GivenUp => patience.pause().await?,
            }
        }
    }

    async fn attempt(&self, apart: &Apart, patience: &mut Patience) -> Result<Attempt, CommitError> {
        let work = &apart.work;
        let holder = Holder { id: self.fresh(), first: work.held[0].0.clone() };
        for place in 0..work.held.len() {
            match self.take(&holder, apart, place, patience).await {
                Ok(Attempt::Done) => {}
                outcome => {
                    self.give_up(&holder, &work.held[..=place]).await;
                    return outcome;
                }
            }
        }

        let decided = Commit::synced()
            .when(Condition::FieldEquals(holder.begun(), PROGRESS, BEGUN))
            .then(Mutation::SetField(holder.begun(), PROGRESS, DECIDED));
        match self.engine.commit(decided).await {
            Ok(()) => {}
            Err(CommitError::Conflict { .. }) => {
                self.give_up(&holder, &work.held).await;
                return Ok(Attempt::GivenUp);
            }
            // It may be decided: whoever comes next finds out.
            Err(error) => return Err(error),
        }

        self.finish(&holder, work).await?;
        Ok(Attempt::Done)
    }

    /// Takes one group, when whoever has it has done.
    async fn take(
        &self,
        holder: &Holder,
        apart: &Apart,
        place: usize,
        patience: &mut Patience,
    ) -> Result<Attempt, CommitError> {
        let (group, mode) = &apart.work.held[place];
        let mut claimed = false;
        loop {
            let taken = if claimed {
                self.try_claimed(holder, apart, place).await?
            } else {
                self.try_take(holder, apart, place).await?
            };
            match taken {
                Taken::Held => return Ok(Attempt::Done),
                Taken::Lost => return Ok(Attempt::GivenUp),
                Taken::Occupied => {
                    if *mode == Mode::Alone && !claimed {
                        claimed = self.claim(holder, apart, place).await?;
                    }
                    self.wait_for(group, &holder.id, patience).await?;
                }
                Taken::Conflict(condition) => {
                    let condition = self.first_failed(apart, place, condition).await?;
                    return Err(CommitError::Conflict { condition });
                }
            }
        }
    }

    async fn try_take(&self, holder: &Holder, apart: &Apart, place: usize) -> Result<Taken, Error> {
        let (group, mode) = &apart.work.held[place];
        let commit = asking(vacant(group, *mode), apart, place).then_all(entered(holder, apart, place));
        match self.engine.commit(commit).await {
            Ok(()) => Ok(Taken::Held),
            Err(CommitError::Conflict { condition: 0 }) => Ok(Taken::Occupied),
            Err(CommitError::Conflict { condition }) => Ok(Taken::conflict(apart, place, condition)),
            Err(CommitError::Engine(error)) => Err(error),
        }
    }

    /// Lets nobody in any more, where those who are there would never all be gone. Says whether nobody did so before.
    async fn claim(&self, holder: &Holder, apart: &Apart, place: usize) -> Result<bool, Error> {
        let (group, _) = &apart.work.held[place];
        let commit = Commit::synced()
            .when(Condition::FieldAbsent(group.locks(), ALONE))
            .then_all(entered(holder, apart, place));
        match self.engine.commit(commit).await {
            Ok(()) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(CommitError::Engine(error)) => Err(error),
        }
    }

    /// Has what it has claimed, once the others are gone.
    async fn try_claimed(&self, holder: &Holder, apart: &Apart, place: usize) -> Result<Taken, Error> {
        let (group, _) = &apart.work.held[place];
        let locks = self.engine.record(&group.locks()).await?.unwrap_or_default();
        if locks.text(ALONE) != Some(holder.id.as_str()) {
            return Ok(Taken::Lost);
        }
        // Its own two fields.
        if locks.len() > 2 {
            return Ok(Taken::Occupied);
        }

        let mine = Condition::FieldEquals(group.locks(), ALONE, holder.id.clone().into());
        match self.engine.commit(asking(mine, apart, place)).await {
            Ok(()) => Ok(Taken::Held),
            Err(CommitError::Conflict { condition: 0 }) => Ok(Taken::Lost),
            Err(CommitError::Conflict { condition }) => Ok(Taken::conflict(apart, place, condition)),
            Err(CommitError::Engine(error)) => Err(error),
        }
    }

    /// The first condition of the commit that does not hold, if `failed` does not and what was asked before it does.
    async fn first_failed(&self, apart: &Apart, place: usize, failed: usize) -> Result<usize, Error> {
        let mut first = failed;
        for asked in &apart.conditions[place + 1..] {
            let earlier: Vec<_> = asked.iter().filter(|(index, _)| *index < first).collect();
            if earlier.is_empty() {
                continue;
            }
            let conditions = earlier.iter().map(|(_, condition)| condition.clone());
            match self.engine.commit(Commit::relaxed().when_all(conditions)).await {
                Ok(()) => {}
                Err(CommitError::Conflict { condition }) => {
                    first = earlier.get(condition).map_or(first, |(index, _)| *index);
                }
                Err(CommitError::Engine(error)) => return Err(error),
            }
        }
        Ok(first)
    }

    /// What cannot be added to is found before anything is decided, because then it would have to be done.
    async fn check_sums(&self, runs: &[Run]) -> Result<(), Error> {
        let mut touched = HashSet::new();
        let mut added = Vec::new();
        for mutation in runs.iter().flat_map(|run| &run.mutations) {
            let (key, field) = match mutation {
                Mutation::SetField(key, field, _)
                | Mutation::RemoveField(key, field)
                | Mutation::Increment(key, field, _) => (key, Some(field)),
                Mutation::RemoveRecord(key) => (key, None),
                _ => continue,
            };
            if let (Mutation::Increment(_, field, by), false) =
                (mutation, touched.contains(&(key, field)) || touched.contains(&(key, None)))
            {
                added.push((key.clone(), field.clone(), *by));
            }
            touched.insert((key, field));
        }

        for (read, (key, field, by)) in self.read_spelled(&added).await?.into_iter().zip(&added) {
            if sum(read.as_ref(), *by).is_none() {
                return Err(Error::Damaged { what: format!("{key} {field} is not a number to add to") });
            }
        }
        Ok(())
    }

    async fn read_spelled(&self, added: &[(Key, Field, i64)]) -> Result<Vec<Option<Bytes>>, Error> {
        let named = |key: &Key| Group::named(&key.to_string());
        let asked = by_group(added.iter().map(|(key, field, _)| (named(key), (key.clone(), field.clone()))));
        let answers = asked.into_iter().map(|(places, fields)| async move {
            Ok::<_, Error>((places, self.engine.get_many(&fields).await?))
        });
        Ok(in_order(added.len(), try_join_all(answers).await?))
    }

    fn fresh(&self) -> String {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        Ulid(u128::from_be_bytes(bytes)).to_string()
    }
}

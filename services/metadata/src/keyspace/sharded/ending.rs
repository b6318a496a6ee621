//! How a commit that lies in several groups ends: what is decided is done run by run, each once, by whoever gets there
//! first, and then lets go; what was begun and is in the way of others is given up.

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};

use super::{
    Sharded,
    apart::{BEGUN, DECIDED, Holder},
    patience::Patience,
    plan::{Mode, Run, Work},
};
use crate::{
    keys::spread::{ALONE, Group, PROGRESS, WORK},
    keyspace::{Commit, CommitError, Condition, Error, Key, Keyspace, Mutation},
};

/// A commit that was found in a group, and how it has it.
#[derive(Debug)]
struct Found {
    holder: Holder,
    mode: Mode,
}

impl Found {
    /// From what the locks of a group say; none from anything else that stands there.
    fn read(id: &Bytes, standing: &Bytes) -> Option<Self> {
        let mut parts = std::str::from_utf8(standing).ok()?.splitn(3, ' ').skip(1);
        let (mode, first) = (Mode::of_letter(parts.next()?)?, Group::named(parts.next()?));
        let id = std::str::from_utf8(id).ok()?.to_owned();
        Some(Self { holder: Holder { id, first }, mode })
    }
}

impl<K: Keyspace> Sharded<K> {
    /// Does what is decided, each run unless it is done, and lets go.
    pub(super) async fn finish(&self, holder: &Holder, work: &Work) -> Result<(), Error> {
        let mut done = vec![0_usize; work.held.len()];
        for run in &work.runs {
            self.apply(holder, &work.held[run.group], run, done[run.group]).await?;
            done[run.group] += 1;
        }

        let others = work.held[1..].iter().map(|(group, mode)| self.let_go(group, *mode, holder, None));
        try_join_all(others).await?;
        let (first, mode) = &work.held[0];
        self.let_go(first, *mode, holder, Some(holder.begun())).await
    }

    /// Does a run, if so many runs were done in its group before it and no more.
    async fn apply(
        &self,
        holder: &Holder,
        (group, mode): &(Group, Mode),
        run: &Run,
        before: usize,
    ) -> Result<(), Error> {
        let step = |mutations: Vec<Mutation>| {
            let as_before = holder.standing(before, *mode);
            let commit = Commit::synced()
                .when(Condition::FieldEquals(group.locks(), holder.field(), as_before))
                .then_all(mutations)
                .then(Mutation::SetField(group.locks(), holder.field(), holder.standing(before + 1, *mode)));
            self.engine.commit(commit)
        };
        let outcome = match step(run.mutations.clone()).await {
            Err(CommitError::Engine(Error::Damaged { what })) => {
                // Others have added to it since it was read: nobody may write here any more until this is done.
                tracing::error!(%what, "a sum of a decided commit is left out");
                let is_sum = |mutation: &Mutation| matches!(mutation, Mutation::Increment(..));
                let rest = run.mutations.iter().filter(|mutation| !is_sum(mutation));
                step(rest.cloned().collect()).await
            }
            outcome => outcome,
        };
        match outcome {
            // Somebody else has done it.
            Ok(()) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(CommitError::Engine(error)) => Err(error),
        }
    }

    /// Lets go of a group, and forgets what the commit has begun, if this is where.
    async fn let_go(
        &self,
        group: &Group,
        mode: Mode,
        holder: &Holder,
        begun: Option<Key>,
    ) -> Result<(), Error> {
        let commit = match mode {
            Mode::Alone => Commit::relaxed()
                .when(Condition::FieldEquals(group.locks(), ALONE, holder.id.clone().into()))
                .then(Mutation::RemoveField(group.locks(), holder.field()))
                .then(Mutation::RemoveField(group.locks(), ALONE)),
            Mode::Shared => Commit::relaxed().then(Mutation::RemoveField(group.locks(), holder.field())),
        };
        match self.engine.commit(commit.then_all(begun.map(Mutation::RemoveRecord))).await {
            Ok(()) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(CommitError::Engine(error)) => Err(error),
        }
    }

    /// Lets go of everything without having decided. What cannot be let go now is found by who wants it.
    pub(super) async fn give_up(&self, holder: &Holder, held: &[(Group, Mode)]) {
        let given_up = match held.split_first() {
            Some(((_, mode), _)) => self.give_up_first(holder, *mode).await.map(drop),
            None => Ok(()),
        };
        let others = held.iter().skip(1).map(|(group, mode)| self.let_go(group, *mode, holder, None));
        let outcomes = join_all(others).await;
        if let Some(error) = outcomes.into_iter().chain([given_up]).find_map(Result::err) {
            tracing::warn!(%error, "a commit that was given up is left to others");
        }
    }

    /// Gives up what is not decided, where it began. Says whether it was there to be given up.
    async fn give_up_first(&self, holder: &Holder, mode: Mode) -> Result<bool, Error> {
        let alone = (mode == Mode::Alone).then(|| Mutation::RemoveField(holder.first.locks(), ALONE));
        let commit = Commit::synced()
            .when(Condition::FieldEquals(holder.begun(), PROGRESS, BEGUN))
            .then(Mutation::RemoveRecord(holder.begun()))
            .then(Mutation::RemoveField(holder.first.locks(), holder.field()))
            .then_all(alone);
        match self.engine.commit(commit).await {
            Ok(()) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(CommitError::Engine(error)) => Err(error),
        }
    }

    /// Waits a moment for who has the group, and ends what nobody goes on with.
    pub(super) async fn wait_for(
        &self,
        group: &Group,
        own: &str,
        patience: &mut Patience,
    ) -> Result<(), Error> {
        let locks = self.engine.record(&group.locks()).await?.unwrap_or_default();
        let found: Vec<Found> = locks.iter().filter_map(|(id, standing)| Found::read(id, standing)).collect();
        for Found { holder, mode } in found {
            if holder.id != own && patience.is_left_behind(&holder.id) {
                self.settle(group, mode, &holder).await?;
            }
        }
        patience.pause().await
    }

    /// Ends a commit that was left behind: finishes what is decided, and gives up the rest.
    async fn settle(&self, group: &Group, mode: Mode, holder: &Holder) -> Result<(), Error> {
        let Some(begun) = self.engine.record(&holder.begun()).await? else {
            // Whoever is done lets go here before it forgets: this was given up.
            return self.let_go(group, mode, holder, None).await;
        };
        let work = begun.get(WORK).cloned().and_then(Work::decode);
        let damaged = || Error::Damaged { what: format!("{} is no commit", holder.begun()) };
        let work = work.ok_or_else(damaged)?;
        if begun.get(PROGRESS) == Some(&DECIDED) {
            tracing::info!(commit = %holder.id, "a commit that was left behind is finished");
            return self.finish(holder, &work).await;
        }

        tracing::info!(commit = %holder.id, "a commit that was left behind is given up");
        if !self.give_up_first(holder, work.held[0].1).await? {
            // It is decided meanwhile, or another has given it up: the next look tells.
            return Ok(());
        }
        let others = work.held[1..].iter().map(|(group, mode)| self.let_go(group, *mode, holder, None));
        try_join_all(others).await.map(drop)
    }
}

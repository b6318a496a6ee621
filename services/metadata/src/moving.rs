//! Calling a repository otherwise, perhaps in another namespace. One field says how it is called, and whatever reads or
//! writes under its id compares that: it changes between making the new record and removing the old one, so that a crash
//! anywhere leaves the repository under one of the two names, and doing it again completes it.

use bytes::Bytes;
use oci::RepositoryName;
use proto::metadata::{Actor, RepositoryError, audit::Action, credentials::Revoked};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::Audit,
    failure::parsed,
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Error, Mutation},
    old_names::{Moved, OldName, leading},
    placement::{BOTH, LIVE, Placement, Target},
    revocations::Telling,
    settings::Copied,
    step,
    words::{Entry, Reindexing},
};

/// A repository that is to be called otherwise.
struct Move<'a> {
    from: &'a RepositoryName,
    to: &'a RepositoryName,
    /// Where it is by its old name.
    place: Placement,
    /// Where it will be by its new one.
    target: Placement,
    /// How it is called now: by its new name, if a crash has cut a move.
    called: &'a RepositoryName,
    /// What the new name leads to.
    led: Option<OldName>,
    /// Rights that nobody has there.
    ended: Vec<Mutation>,
    /// By what it is found.
    words: Reindexing<'a>,
}

impl Service {
    pub(crate) async fn call_otherwise(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        for attempt in 0..ATTEMPTS {
            let Some(place) = self.placed(from).await? else {
                let id = self.moved_there(from, to).await?;
                if self.settled(id).await? == Outcome::Committed {
                    return Ok(());
                }
                continue;
            };
            if from == to {
                return Ok(());
            }
            let (moving, commit) = self.renaming((from, to), place, attempt).await?;
            let commit = commit.beginning_with(self.all_audited(actor, moving.audits()).await?);
            let outcome = self.commit(step!("move_repository"), commit).await?;
            self.forget(from);
            self.forget(to);
            if outcome == Outcome::Committed {
                return Ok(());
            }
        }

        Err(RepositoryError::Conflict { attempted: format!("calling {from} {to}").into() })
    }

    /// An answer may have been lost, and the same is asked for again.
    async fn moved_there(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
    ) -> Result<RepositoryId, RepositoryError> {
        match self.moved_from(from).await? {
            Some(Moved { id, to: found }) if found == *to => Ok(id),
            Some(Moved { to, .. }) => Err(RepositoryError::Moved { repository: from.clone(), to }),
            None => Err(RepositoryError::NameUnknown { repository: from.clone() }),
        }
    }

    async fn renaming<'a>(
        &self,
        (from, to): (&'a RepositoryName, &'a RepositoryName),
        place: Placement,
        attempt: usize,
    ) -> Result<(Move<'a>, Commit), RepositoryError> {
        let (namespace, target) = self.foundable(to, place.visibility).await?;
        let there = self.placed(to).await?;
        if there.is_some_and(|there| there.id != place.id) {
            return Err(RepositoryError::RepositoryExists { repository: to.clone() });
        }
        let called = self.fields(&[(keys::state(place.id), field::NAME)]).await?.pop().flatten();
        let called = [from, to].into_iter().find(|name| called.as_deref() == Some(name.as_str().as_bytes()));
        // What a crash has left is no repository.
        let called = called.ok_or_else(|| RepositoryError::NameUnknown { repository: from.clone() })?;
        let led = self.old_name(to).await?;
        if led.as_ref().is_some_and(|led| led.id() != place.id) && self.moved_from(to).await?.is_some() {
            return Err(RepositoryError::NameLeadsElsewhere { repository: to.clone() });
        }

        let target = Placement { id: place.id, ..*target.placement() };
        let state = keys::state(place.id);
        let granted = self.fields(&[(state.clone(), field::GRANTED)]).await?.pop().flatten();
        let ended = self.team_grants_ended((from, to), place).await?;
        let (before, after) = (Entry { name: from, place }, Entry { name: to, place: target });
        let words = self.reindexing(before, after, None).await?;
        let this = Move { from, to, place, target, called, led, ended, words };
        let records = (this.before().record(from), this.after().record(to));
        let copied = self.copied(records, place, attempt).await?;
        let commit = Commit::synced()
            .when(Condition::FieldPresent(namespace, field::NAME))
            .when(Condition::unchanged(state, field::GRANTED, granted))
            .telling(self.transferred(from, to).await?);
        let (commit, uncounted) = self.counted_there(&this, commit).await?;
        let commit = this.commit(commit, (there, copied), (self.until(), uncounted));
        Ok((this, commit))
    }

    /// What the repository links counts in its new namespace first and in the old one no more: a crash leaves one of them
    /// with more than it has, until it is counted anew.
    async fn counted_there(
        &self,
        this: &Move<'_>,
        commit: Commit,
    ) -> Result<(Commit, Option<Mutation>), RepositoryError> {
        let Move { from, to, place, target, .. } = *this;
        // Whoever counts meanwhile may have missed it, or counted it twice.
        let moves =
            |owner, namespace| Mutation::Increment(keys::namespace(owner, &namespace), field::MOVES, 1);
        let commit = commit.then(moves(place.owner, from.namespace()));
        if from.namespace() == to.namespace() {
            return Ok((commit, None));
        }
        let commit = commit.then(moves(target.owner, to.namespace()));
        let (unchanged, size_bytes) = self.linked_bytes(place).await?;
        let needed = u64::try_from(size_bytes).unwrap_or_default();
        if let Some(refusal) = self.no_room_for(target.owner, to, needed).await? {
            return Err(refusal);
        }
        let commit = commit.when(unchanged).then(this.after().used(to, size_bytes));
        Ok((commit, Some(this.before().used(from, -size_bytes))))
    }

    /// How many bytes a repository links, and that they stay so many.
    pub(crate) async fn linked_bytes(&self, place: Placement) -> Result<(Condition, i64), Error> {
        let state = keys::state(place.id);
        let found = self.fields(&[(state.clone(), field::BYTES)]).await?.pop().flatten();
        let size_bytes = parsed(&state, &field::BYTES, found.as_ref())?;
        Ok((Condition::unchanged(state, field::BYTES, found), size_bytes))
    }

    /// When a name that a repository loses now leads nowhere any more.
    fn until(&self) -> jiff::Timestamp {
        self.now().saturating_add(self.0.reclaim.redirects_kept).unwrap_or(jiff::Timestamp::MAX)
    }

    /// Whoever had tokens for the new name had them for something else, or for another time. In another namespace others
    /// have rights besides: those for the old name end, too.
    async fn transferred(&self, from: &RepositoryName, to: &RepositoryName) -> Result<Telling, Error> {
        let elsewhere = from.namespace() != to.namespace();
        let names = [Some(to), elsewhere.then_some(from)].into_iter().flatten();
        let told: Vec<_> = names.map(|name| Revoked::Repository(name.clone())).collect();
        self.telling(&told).await
    }

    /// So do the rights of teams, which give nobody anything there, and must not come back when the repository does.
    async fn team_grants_ended(
        &self,
        (from, to): (&RepositoryName, &RepositoryName),
        place: Placement,
    ) -> Result<Vec<Mutation>, Error> {
        if from.namespace() == to.namespace() {
            return Ok(Vec::new());
        }
        let key = keys::grants(place.id);
        let grants = self.keyspace().record(&key).await?.unwrap_or_default();
        let of_teams =
            grants.iter().map(|(field, _)| field).filter(|field| keys::granted_team(field).is_some());
        Ok(of_teams.map(|field| Mutation::RemoveField(key.clone(), keys::named_by(field))).collect())
    }
}

impl Move<'_> {
    /// Whoever manages the new namespace finds it in the log of that, too.
    fn audits(&self) -> Vec<Audit> {
        let Self { from, to, place, target, .. } = *self;
        let moved = Audit::of_repository(Action::RepositoryMove, place.owner, from).to(to);
        let received = Audit::of_repository(Action::RepositoryReceive, target.owner, to);
        let elsewhere = from.namespace() != to.namespace();
        [Some(moved), elsewhere.then_some(received)].into_iter().flatten().collect()
    }

    const fn before(&self) -> Target {
        Target::Existing(self.place)
    }

    const fn after(&self) -> Target {
        Target::Existing(self.target)
    }

    fn commit(
        &self,
        commit: Commit,
        (there, copied): (Option<Placement>, Copied),
        (until, uncounted): (jiff::Timestamp, Option<Mutation>),
    ) -> Commit {
        let Self { from, to, place, .. } = *self;
        let state = keys::state(place.id);
        let (conditions, record) = copied;
        let called = Mutation::SetField(state, field::NAME, to.to_string().into());
        let led = self.led.as_ref().map(OldName::removed);

        commit
            .when_all(self.conditions(there))
            .when_all(conditions)
            .when(self.words.unchanged())
            .then_all(self.words.before())
            .then_all(self.listed())
            .then_all(record)
            .then_all(leading(from, place.id, until))
            // Until here it is called what it was, and from here on what it will be.
            .then(called)
            .then_all(self.ended.iter().cloned())
            .then_all(BOTH.map(|seen| Mutation::RemoveRecord(keys::repository(place.owner, from, seen))))
            .then_all(uncounted)
            .then_all(place.unlisted(from))
            .then_all(led)
            .then_all(self.left_by_a_crash())
            .then_all(self.words.after())
    }

    fn conditions(&self, there: Option<Placement>) -> Vec<Condition> {
        let Self { from, to, place, target, called, .. } = *self;
        let (state, id) = (keys::state(place.id), Bytes::from(place.id.to_string()));
        let equals = Condition::FieldEquals;
        let mut conditions = vec![
            equals(state.clone(), field::STATE, LIVE.into()),
            equals(state, field::NAME, called.to_string().into()),
            equals(self.before().record(from), field::ID, id.clone()),
        ];
        match there {
            Some(there) => conditions.push(equals(Target::Existing(there).record(to), field::ID, id)),
            None => conditions.extend(Target::New(target).unplaced(to)),
        }
        conditions.push(match &self.led {
            Some(led) => led.unchanged(),
            None => Condition::FieldAbsent(keys::moved(to), field::ID),
        });
        conditions
    }

    fn listed(&self) -> Vec<Mutation> {
        let member = keys::listed(self.to, self.target.owner);
        let lists = self.target.lists();
        lists.into_iter().map(|list| Mutation::AddMember(list, member.clone())).collect()
    }

    /// A move that was cut may have made a record for those who might see the repository then.
    fn left_by_a_crash(&self) -> impl Iterator<Item = Mutation> {
        let Placement { owner, visibility, .. } = self.target;
        let others = BOTH.into_iter().filter(move |seen| *seen != visibility);
        others.map(move |seen| Mutation::RemoveRecord(keys::repository(owner, self.to, seen)))
    }
}

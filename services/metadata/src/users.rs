//! The contract `Users`: who they are, and how that is changed. What takes rights away is told in the same commit.

use async_trait::async_trait;
use oci::AccountName;
use proto::{
    auth::Subject,
    metadata::{
        AccountError, Actor, More, Page, PageRequest, Standing, Users,
        accounts::Role,
        audit::Action,
        credentials::{CredentialOwner, Holder, Revoked},
        users::{Profile, User, UserChange},
    },
};
use secrecy::ExposeSecret as _;

use crate::{
    ATTEMPTS, Outcome, Service,
    accounts::Word as _,
    administrators::{is_administrator, listed_administrator, unlisted_administrator},
    audit::Audit,
    failure::{parsed, parsed_member},
    keys::{self, field},
    keyspace::{Commit, Condition, Direction, Error, Key, MemberRange, Mutation, Record},
    secrets::Entry,
    sessions::millisecond,
    step,
    tags::LONGEST_PAGE,
    tickets::is_verified,
};

#[async_trait]
impl Users for Service {
    async fn user(&self, name: &AccountName) -> Result<Option<User>, AccountError> {
        let key = keys::user(name);
        let record = self.keyspace().record(&key).await?.unwrap_or_default();

        Ok(user(&key, &record)?)
    }

    async fn users(&self, page: &PageRequest<AccountName>) -> Result<Page<User>, AccountError> {
        let limit = page.limit.min(LONGEST_PAGE);
        let (mut entries, mut after) = (Vec::new(), page.after.clone());
        loop {
            let behind = after.map_or(MemberRange::all(), |after| MemberRange::after(after.to_string()));
            let names = self.keyspace().range(&keys::USERS, behind, limit + 1, Direction::Forward).await?;
            after = names.last().map(|last| parsed_member(&keys::USERS, last)).transpose()?;
            let exhausted = names.len() <= limit;
            entries.extend(self.users_named(&names).await?);

            // An index entry may be without a record: then the page is filled from what follows.
            if entries.len() > limit || exhausted {
                let more = if entries.len() > limit { More::Yes } else { More::No };
                entries.truncate(limit);
                return Ok(Page { entries, more });
            }
        }
    }

    async fn change_user(
        &self,
        name: &AccountName,
        change: &UserChange,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.change(name, change, &|_| Ok(Vec::new()), actor).await
    }
}

/// What must be so besides, as the record was read; or why the change may not be made.
pub(crate) type Requires<'a> = dyn Fn(&Record) -> Result<Vec<Condition>, AccountError> + Send + Sync + 'a;

/// From what a user is to what the user will be.
struct Transition<'a> {
    name: &'a AccountName,
    record: &'a Record,
    from: (Role, Standing),
    to: (Role, Standing),
}

impl<'a> Transition<'a> {
    fn new(before: &'a User, record: &'a Record, change: &UserChange) -> Self {
        let from = (before.role, before.standing);
        let to = (change.role.unwrap_or(from.0), change.standing.unwrap_or(from.1));
        Self { name: &before.name, record, from, to }
    }

    fn lowers_role(&self) -> bool {
        (self.from.0, self.to.0) == (Role::Administrator, Role::User)
    }

    fn lowers_standing(&self) -> bool {
        (self.from.1, self.to.1) == (Standing::Active, Standing::Disabled)
    }

    fn was_administrator(&self) -> bool {
        is_administrator(self.from.0, self.from.1)
    }

    fn is_administrator(&self) -> bool {
        is_administrator(self.to.0, self.to.1)
    }

    /// The user is as it was read.
    fn unchanged(&self) -> [Condition; 3] {
        let key = keys::user(self.name);
        [
            Condition::FieldPresent(key.clone(), field::NAME),
            Condition::FieldEquals(key.clone(), field::ROLE, self.from.0.word().into()),
            Condition::FieldEquals(key, field::STANDING, self.from.1.word().into()),
        ]
    }

    /// Whether the user has another address from then on, if the profile is changed at all.
    fn moves(&self, change: &UserChange) -> bool {
        let before = self.record.text(field::EMAIL).unwrap_or_default();
        change.profile.as_ref().is_some_and(|profile| profile.email != before)
    }

    /// What mails to the address have shown, and what those that are on their way say, is not so any more.
    fn forgotten(&self, change: &UserChange) -> Vec<Mutation> {
        let remove = |field| Mutation::RemoveField(keys::user(self.name), field);
        if self.moves(change) {
            let verified = self.record.text(field::VERIFIED);
            let listed = verified.map(|email| keys::verified(email, self.name));
            let unlisted = listed.map(|entry| Mutation::RemoveMember(keys::EMAILS, entry));
            let fields = [field::VERIFIED, field::VERIFY, field::RESET].map(remove);
            return fields.into_iter().chain(unlisted).collect();
        }
        let resets = change.password_hash.is_some() || self.lowers_standing();
        resets.then(|| remove(field::RESET)).into_iter().collect()
    }

    /// Writes role and standing, what allows less first: a crash in between must not allow more than either end.
    fn taken(&self) -> [Mutation; 2] {
        let set = |field, word: &'static str| Mutation::SetField(keys::user(self.name), field, word.into());
        let (role, standing) = (set(field::ROLE, self.to.0.word()), set(field::STANDING, self.to.1.word()));
        if self.lowers_standing() { [standing, role] } else { [role, standing] }
    }
}

impl Service {
    /// Changes a user, if what `requires` says is so then.
    pub(crate) async fn change(
        &self,
        name: &AccountName,
        change: &UserChange,
        requires: &Requires<'_>,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        for _ in 0..ATTEMPTS {
            let record = self.record_of(name).await?;
            let before = user(&keys::user(name), &record)?;
            let before = before.ok_or_else(|| AccountError::AccountUnknown { name: name.clone() })?;

            let conditions = requires(&record)?;
            let transition = Transition::new(&before, &record, change);
            let audited = self.all_audited(actor, audits(&transition, change)).await?;
            let commit = self.changing(&transition, change).await?.when_all(conditions);
            if self.commit(step!("change_user"), commit.beginning_with(audited)).await? == Outcome::Committed
            {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("changing the user {name}").into() })
    }

    /// Revocation, revision, sessions, role and standing, and the rest; the list of administrators around it.
    async fn changing(
        &self,
        transition: &Transition<'_>,
        change: &UserChange,
    ) -> Result<Commit, AccountError> {
        let mut commit = Commit::synced().when_all(transition.unchanged());
        if transition.was_administrator() && !transition.is_administrator() {
            commit = commit.when_all(self.another_administers(transition.name).await?);
        }
        commit = self.taking_away(transition, change, commit).await?;
        let (key, now) = (keys::user(transition.name), self.now().as_millisecond().to_string());
        if change.password_hash.is_some() {
            commit = self.without_sessions(transition.name, commit).await?;
        }
        if change.profile.is_some() {
            let email = transition.record.get(field::EMAIL).cloned();
            commit = commit.when(Condition::unchanged(key.clone(), field::EMAIL, email));
        }

        // What was sent to an address that is left goes before that does; what a password ends, after it has.
        let forgotten = transition.forgotten(change);
        let (before, after) =
            if transition.moves(change) { (forgotten, Vec::new()) } else { (Vec::new(), forgotten) };
        Ok(commit
            .then_all(transition.is_administrator().then(|| listed_administrator(transition.name)))
            .then_all(transition.taken())
            .then_all(before)
            .then_all(said(&key, change))
            .then_all(after)
            .then(Mutation::SetField(key, field::UPDATED, now.into()))
            .then_all((!transition.is_administrator()).then(|| unlisted_administrator(transition.name))))
    }

    /// Tells whose tokens end: the user's, and those of the robots in the namespace of a user who is disabled, if none
    /// is made meanwhile. What was begun with what is taken away is not completed.
    async fn taking_away(
        &self,
        transition: &Transition<'_>,
        change: &UserChange,
        mut commit: Commit,
    ) -> Result<Commit, AccountError> {
        let mut what = Vec::new();
        if transition.lowers_role() || transition.lowers_standing() || change.password_hash.is_some() {
            what.push(Revoked::Subject(Subject::User(transition.name.clone())));
            commit = commit.then(Mutation::Increment(keys::user(transition.name), field::REV, 1));
        }
        if transition.lowers_standing() {
            let robots = self.list_of(&CredentialOwner::Robots(transition.name.namespace())).await?;
            what.extend(robots.entries.iter().map(|robot| Revoked::Credential(robot.id.clone())));
            commit = commit.when_all(robots.unchanged());
        }
        Ok(commit.telling(self.telling(&what).await?))
    }

    /// Ends all that was given for the password of a user, if nothing more is given meanwhile.
    pub(crate) async fn without_sessions(
        &self,
        name: &AccountName,
        commit: Commit,
    ) -> Result<Commit, AccountError> {
        let list = self.list_of(&CredentialOwner::User(name.clone())).await?;
        let is_session = |entry: &&Entry| {
            let holder = entry.credential.as_ref().map(|credential| &credential.holder);
            matches!(holder, Some(Holder::Session(_) | Holder::Offline { through: None, .. }))
        };
        let sessions = list.entries.iter().filter(is_session);

        Ok(commit.when_all(list.unchanged()).then_all(sessions.flat_map(Entry::removed)))
    }

    async fn users_named(&self, names: &[bytes::Bytes]) -> Result<Vec<User>, Error> {
        let name = |name: &bytes::Bytes| parsed_member(&keys::USERS, name);
        let keys: Vec<Key> =
            names.iter().map(|member| Ok(keys::user(&name(member)?))).collect::<Result<_, Error>>()?;
        let records = self.keyspace().records(&keys).await?;

        let users = keys.iter().zip(records).map(|(key, record)| user(key, &record.unwrap_or_default()));
        users.filter_map(Result::transpose).collect()
    }
}

/// What is new of a user; a role or standing that it had already is not.
fn audits(transition: &Transition<'_>, change: &UserChange) -> Vec<Audit> {
    let Transition { name, from, to, .. } = transition;
    let of = |action| Audit::of_user(action, name);
    let standing = match to.1 {
        Standing::Active => Action::UserEnable,
        Standing::Disabled => Action::UserDisable,
    };
    let new = [
        (from.1 != to.1).then(|| of(standing)),
        (from.0 != to.0).then(|| of(Action::UserRole).to(to.0.word())),
        change.password_hash.as_ref().map(|_| of(Action::UserPassword)),
        change.profile.as_ref().map(|_| of(Action::UserProfile)),
    ];
    new.into_iter().flatten().collect()
}

/// Reads the record of a user; none if there is no such account.
fn user(key: &Key, record: &Record) -> Result<Option<User>, Error> {
    if record.get(field::NAME).is_none() {
        return Ok(None);
    }

    let text = |field| record.text(field).unwrap_or_default().to_owned();
    Ok(Some(User {
        name: parsed(key, &field::NAME, record.get(field::NAME))?,
        role: Role::read(key, &field::ROLE, record)?,
        standing: Standing::read(key, &field::STANDING, record)?,
        profile: Profile { display_name: text(field::DISPLAY), email: text(field::EMAIL) },
        created: millisecond(key, &field::CREATED, record.get(field::CREATED))?,
        email_verified: is_verified(record),
        second_factor: record.get(field::FACTOR).is_some(),
    }))
}

/// Writes the profile and the password, as far as they are to be changed.
fn said(key: &Key, change: &UserChange) -> Vec<Mutation> {
    let set = |field, value: &str| Mutation::SetField(key.clone(), field, value.to_owned().into());
    let profile = change
        .profile
        .iter()
        .flat_map(|profile| [set(field::DISPLAY, &profile.display_name), set(field::EMAIL, &profile.email)]);
    let password = change.password_hash.iter().map(|hash| set(field::PASSWORD, hash.expose_secret()));
    profile.chain(password).collect()
}

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
        for _ in 0..ATTEMPTS {
            let before = self.user(name).await?;
            let before = before.ok_or_else(|| AccountError::AccountUnknown { name: name.clone() })?;

            let transition = Transition::new(&before, change);
            let audited = self.all_audited(actor, audits(&transition, change)).await?;
            let commit = self.changing(&transition, change).await?.beginning_with(audited);
            if self.commit(step!("change_user"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("changing the user {name}").into() })
    }
}

/// From what a user is to what the user will be.
struct Transition<'a> {
    name: &'a AccountName,
    from: (Role, Standing),
    to: (Role, Standing),
}

impl<'a> Transition<'a> {
    fn new(before: &'a User, change: &UserChange) -> Self {
        let from = (before.role, before.standing);
        let to = (change.role.unwrap_or(from.0), change.standing.unwrap_or(from.1));
        Self { name: &before.name, from, to }
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

    /// Writes role and standing, what allows less first: a crash in between must not allow more than either end.
    fn taken(&self) -> [Mutation; 2] {
        let set = |field, word: &'static str| Mutation::SetField(keys::user(self.name), field, word.into());
        let (role, standing) = (set(field::ROLE, self.to.0.word()), set(field::STANDING, self.to.1.word()));
        if self.lowers_standing() { [standing, role] } else { [role, standing] }
    }
}

impl Service {
    /// Revocation, sessions, role and standing, and the rest; the list of administrators around it.
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
        if change.password_hash.is_some() {
            commit = self.without_sessions(transition.name, commit).await?;
        }

        let (key, now) = (keys::user(transition.name), self.now().as_millisecond().to_string());
        Ok(commit
            .then_all(transition.is_administrator().then(|| listed_administrator(transition.name)))
            .then_all(transition.taken())
            .then_all(said(&key, change))
            .then(Mutation::SetField(key, field::UPDATED, now.into()))
            .then_all((!transition.is_administrator()).then(|| unlisted_administrator(transition.name))))
    }

    /// Tells whose tokens end: the user's, and those of the robots in the namespace of a user who is disabled, if none
    /// is made meanwhile.
    async fn taking_away(
        &self,
        transition: &Transition<'_>,
        change: &UserChange,
        mut commit: Commit,
    ) -> Result<Commit, AccountError> {
        let mut what = Vec::new();
        if transition.lowers_role() || transition.lowers_standing() || change.password_hash.is_some() {
            what.push(Revoked::Subject(Subject::User(transition.name.clone())));
        }
        if transition.lowers_standing() {
            let robots = self.list_of(&CredentialOwner::Robots(transition.name.namespace())).await?;
            what.extend(robots.entries.iter().map(|robot| Revoked::Credential(robot.id.clone())));
            commit = commit.when_all(robots.unchanged());
        }
        Ok(commit.telling(self.telling(&what).await?))
    }

    /// Ends all that was given for the password of a user, if nothing more is given meanwhile.
    async fn without_sessions(&self, name: &AccountName, commit: Commit) -> Result<Commit, AccountError> {
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
    let Transition { name, from, to } = transition;
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

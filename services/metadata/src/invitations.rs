//! The contract `Invitations`. A list names those that wait, the record has what they are, and its id makes it count;
//! an entry without a record is passed over.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use oci::{InvitationId, Namespace};
use proto::{
    auth::Subject,
    metadata::{
        AccountError, Actor, Invitations, Standing,
        accounts::{Account, Role},
        audit::Action,
        credentials::SecretHash,
        invitations::{Invitation, Joining, MAX_INVITATIONS, NewInvitation},
        organizations::MemberRole,
    },
};

use crate::{
    ATTEMPTS, Outcome, Service,
    accounts::Word as _,
    audit::Audit,
    failure::{parsed, parsed_member},
    keys::{self, field},
    keyspace::{Commit, Condition, Direction, Error, Key, MemberRange, Mutation, RANGE_LIMIT, Record},
    members::{joining, place},
    namespaces::Owner,
    sessions::millisecond,
    step,
};

/// An entry of a list, and what it names.
struct Entry {
    member: Bytes,
    key: Key,
    /// None: a crash left the entry alone.
    invitation: Option<Invitation>,
}

impl Entry {
    fn is_good(&self, now: Timestamp) -> bool {
        self.invitation.as_ref().is_some_and(|invitation| now < invitation.expires)
    }

    /// First what makes it an invitation, then its index entry.
    fn removed(&self, list: &Key) -> [Mutation; 2] {
        [Mutation::RemoveRecord(self.key.clone()), Mutation::RemoveMember(list.clone(), self.member.clone())]
    }
}

#[async_trait]
impl Invitations for Service {
    async fn put_invitation(&self, new: &NewInvitation, actor: &Actor) -> Result<(), AccountError> {
        let list = keys::invitations(new.joining.as_ref().map(|joining| &joining.organization));
        for _ in 0..ATTEMPTS {
            let entries = self.waiting(new.joining.as_ref().map(|joining| &joining.organization)).await?;
            let kept = |entry: &Entry| entry.invitation.as_ref().is_some_and(|kept| kept.id == new.id);
            if entries.iter().any(kept) {
                // The answer to the first time was lost.
                return Ok(());
            }
            let audit =
                about(Action::InvitationCreate, new.joining.as_ref().map(|joining| &joining.organization));
            let audited = self.audited(actor, &audit.label(&new.id.to_string())).await?;
            let commit = self.inviting(&list, &entries, new, actor)?.beginning_with(audited);
            if self.commit(step!("put_invitation"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("keeping invitation {}", new.id).into() })
    }

    async fn invitations(&self, organization: Option<&Namespace>) -> Result<Vec<Invitation>, AccountError> {
        let (entries, now) = (self.waiting(organization).await?, self.now());
        let good = entries.into_iter().filter(|entry| entry.is_good(now));
        Ok(good.filter_map(|entry| entry.invitation).collect())
    }

    async fn revoke_invitation(
        &self,
        organization: Option<&Namespace>,
        id: &InvitationId,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let list = keys::invitations(organization);
        for _ in 0..ATTEMPTS {
            let within = keys::of_invitation(id);
            let found = self.keyspace().range(&list, within, 1, Direction::Forward).await?.pop();
            let member = found.ok_or(AccountError::InvitationUnknown)?;
            let key = key_of(&list, &member)?;
            let entry = Entry { member: member.clone(), key, invitation: None };
            let audit = about(Action::InvitationRevoke, organization).label(&id.to_string());
            let commit = Commit::synced()
                .when(Condition::has_member(list.clone(), member))
                .then_all(self.audited(actor, &audit).await?)
                .then_all(entry.removed(&list));
            if self.commit(step!("revoke_invitation"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("revoking invitation {id}").into() })
    }

    async fn redeem_invitation(
        &self,
        hash: &SecretHash,
        account: &Account,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        if account.name.namespace().is_reserved() {
            return Err(AccountError::NameReserved { name: account.name.namespace() });
        }
        let hash = keys::hex(hash);
        let key = keys::invitation(&hash);
        for _ in 0..ATTEMPTS {
            let record = self.keyspace().record(&key).await?.unwrap_or_default();
            let (invitation, standing) = self.takeable(&key, &record, account).await?;
            if self.account(&account.name).await?.is_some() {
                return Err(AccountError::NameTaken { name: account.name.namespace() });
            }

            let claimed = self.claimable(&account.name).await?;
            let audited = self.all_audited(actor, taken(&invitation, account)).await?;
            let commit = taking((&hash, &record), &invitation, account, self.creation(account, claimed));
            let commit = commit.when_all(standing);
            if self.commit(step!("redeem_invitation"), commit.beginning_with(audited)).await?
                == Outcome::Committed
            {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("making the account {}", account.name).into() })
    }
}

impl Service {
    /// All that a list names, expired ones too.
    async fn waiting(&self, organization: Option<&Namespace>) -> Result<Vec<Entry>, AccountError> {
        if let Some(organization) = organization {
            self.organization_exists(organization).await?;
        }
        let list = keys::invitations(organization);
        let all = MemberRange::all();
        let members = self.keyspace().range(&list, all, RANGE_LIMIT - 1, Direction::Forward).await?;
        let places: Vec<Key> =
            members.iter().map(|member| key_of(&list, member)).collect::<Result<_, _>>()?;
        let records = self.keyspace().records(&places).await?;

        let entries = members.into_iter().zip(places).zip(records).map(|((member, key), record)| {
            let invitation = read(&key, &record.unwrap_or_default())?;
            Ok(Entry { member, key, invitation })
        });
        Ok(entries.collect::<Result<_, Error>>()?)
    }

    /// Adds to a list, and drops what has ended there; the id comes last, because it is what makes it count.
    fn inviting(
        &self,
        list: &Key,
        entries: &[Entry],
        new: &NewInvitation,
        actor: &Actor,
    ) -> Result<Commit, AccountError> {
        let now = self.now();
        let (good, over): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| entry.is_good(now));
        if good.len() >= MAX_INVITATIONS {
            return Err(AccountError::TooMany { what: "invitations".to_owned(), limit: MAX_INVITATIONS });
        }
        let hash = keys::hex(&new.hash);
        let key = keys::invitation(&hash);
        let set = |field, value: String| Mutation::SetField(key.clone(), field, value.into());
        let into = new.joining.iter().flat_map(|joining| {
            let (organization, role) = (joining.organization.to_string(), joining.role.word().to_owned());
            [set(field::ORGANIZATION, organization), set(field::ROLE, role)]
        });
        let there = new.joining.as_ref().map(|joining| {
            Condition::FieldPresent(keys::namespace(Owner::Organization, &joining.organization), field::NAME)
        });

        Ok(Commit::synced()
            .when_all(there)
            .when(Condition::Members { key: list.clone(), members: MemberRange::all(), count: entries.len() })
            .when(Condition::FieldAbsent(key.clone(), field::ID))
            .then_all(over.into_iter().flat_map(|entry| entry.removed(list)))
            .then(Mutation::AddMember(list.clone(), keys::invited(&new.id, &hash)))
            .then(set(field::EMAIL, new.email.clone()))
            .then_all(into)
            .then(set(field::BY, actor.subject.to_string()))
            .then(set(field::CREATED, now.as_millisecond().to_string()))
            .then(set(field::EXPIRES, new.expires.as_millisecond().to_string()))
            .then(set(field::ID, new.id.to_string())))
    }

    /// The invitation, if `account` may be made for it now, and what must still be so of whoever made it. What a crash
    /// has left half done, the same name completes.
    async fn takeable(
        &self,
        key: &Key,
        record: &Record,
        account: &Account,
    ) -> Result<(Invitation, Vec<Condition>), AccountError> {
        let taken = record.text(field::TAKEN);
        let free = taken.is_none_or(|name| name == account.name.as_str());
        let good = read(key, record)?.filter(|invitation| free && self.now() < invitation.expires);
        let invitation = good.ok_or(AccountError::InvitationUnknown)?;
        if let Some(Joining { organization, .. }) = &invitation.joining
            && !self.is_organization(organization).await?
        {
            return Err(AccountError::InvitationUnknown);
        }
        let standing = self.standing_of_inviter(&invitation).await?;
        Ok((invitation, standing))
    }

    /// Invitations end with the rights they were made by: a user is active, and an administrator or an owner of the
    /// organization, still.
    async fn standing_of_inviter(&self, invitation: &Invitation) -> Result<Vec<Condition>, AccountError> {
        let Subject::User(by) = &invitation.by else {
            return Ok(Vec::new());
        };
        let key = keys::user(by);
        let mut asked = vec![(key.clone(), field::STANDING), (key, field::ROLE)];
        asked.extend(invitation.joining.iter().map(|joining| place(&joining.organization, by)));

        let found = self.fields(&asked).await?;
        let words = [Standing::Active.word(), Role::Administrator.word(), MemberRole::Owner.word()];
        let mut held = asked.into_iter().zip(found).zip(words).map(|(((key, field), found), word)| {
            let is_so = found.is_some_and(|found| found == word.as_bytes());
            is_so.then(|| Condition::FieldEquals(key, field, word.into()))
        });
        let active = held.next().flatten().ok_or(AccountError::InvitationUnknown)?;
        let right = held.flatten().next().ok_or(AccountError::InvitationUnknown)?;
        Ok(vec![active, right])
    }
}

/// In the log of the organization that it is into, or of the hub.
fn about(action: Action, organization: Option<&Namespace>) -> Audit {
    organization.map_or_else(|| Audit::of_hub(action), |name| Audit::of_organization(action, name))
}

/// What is done with an account that is made for an invitation.
fn taken(invitation: &Invitation, account: &Account) -> Vec<Audit> {
    let made = Audit::of_user(Action::UserCreate, &account.name).to(account.role.word());
    let joined = invitation.joining.as_ref().map(|Joining { organization, role }| {
        Audit::of_organization(Action::MemberPut, organization).user(&account.name).to(role.word())
    });
    [Some(made.label(&invitation.id.to_string())), joined].into_iter().flatten().collect()
}

/// For whom it is; the account; where else they are then; and the invitation goes.
fn taking(
    (hash, record): (&str, &Record),
    invitation: &Invitation,
    account: &Account,
    creation: Commit,
) -> Commit {
    let name = &account.name;
    let organization = invitation.joining.as_ref().map(|joining| &joining.organization);
    let (list, key) = (keys::invitations(organization), keys::invitation(hash));
    let there = organization
        .map(|name| Condition::FieldPresent(keys::namespace(Owner::Organization, name), field::NAME));
    let joins = invitation
        .joining
        .iter()
        .flat_map(|Joining { organization, role }| joining(organization, name, *role));

    Commit::synced()
        .when(Condition::FieldEquals(key.clone(), field::ID, invitation.id.to_string().into()))
        .when(Condition::unchanged(key.clone(), field::TAKEN, record.get(field::TAKEN).cloned()))
        .when_all(there)
        .when_all(creation.conditions)
        .then(Mutation::SetField(key.clone(), field::TAKEN, name.to_string().into()))
        .then_all(creation.mutations)
        .then_all(joins)
        .then(Mutation::RemoveRecord(key))
        .then(Mutation::RemoveMember(list, keys::invited(&invitation.id, hash)))
}

fn key_of(list: &Key, member: &Bytes) -> Result<Key, Error> {
    parsed_member::<String>(list, keys::last_part(member)).map(|hash| keys::invitation(&hash))
}

/// Reads the record of an invitation; none if it is not one yet, or no more.
fn read(key: &Key, record: &Record) -> Result<Option<Invitation>, Error> {
    if record.get(field::ID).is_none() {
        return Ok(None);
    }
    let joining = match record.get(field::ORGANIZATION) {
        None => None,
        organization => Some(Joining {
            organization: parsed(key, &field::ORGANIZATION, organization)?,
            role: MemberRole::read(key, &field::ROLE, record)?,
        }),
    };

    Ok(Some(Invitation {
        id: parsed(key, &field::ID, record.get(field::ID))?,
        email: record.text(field::EMAIL).unwrap_or_default().to_owned(),
        joining,
        by: parsed::<Subject>(key, &field::BY, record.get(field::BY))?,
        created: millisecond(key, &field::CREATED, record.get(field::CREATED))?,
        expires: millisecond(key, &field::EXPIRES, record.get(field::EXPIRES))?,
    }))
}

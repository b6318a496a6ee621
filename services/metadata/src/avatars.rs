//! The contract `Avatars`: pictures, each in a hash of its own, so that no list of users reads them.

use async_trait::async_trait;
use proto::metadata::{
    Actor, Avatars, RepositoryError,
    accounts::NamespaceKind,
    audit::Action,
    avatars::{Avatar, AvatarOf},
};

use crate::{
    Outcome, Service,
    audit::Audit,
    failure::damaged,
    keys::{self, field},
    keyspace::{Commit, Condition, Mutation},
    namespaces::Owner,
    step,
};

#[async_trait]
impl Avatars for Service {
    async fn avatar(&self, of: &AvatarOf) -> Result<Option<Avatar>, RepositoryError> {
        let key = keys::avatar(owner(of), &of.name);
        let Some(record) = self.keyspace().record(&key).await? else { return Ok(None) };
        // A crash may have left a body without its type.
        let Some(body) = record.get(field::BODY).filter(|_| record.get(field::TYPE).is_some()) else {
            return Ok(None);
        };

        let avatar = Avatar::new(body.clone()).map_err(|_| damaged(&key, &field::BODY))?;
        Ok(Some(avatar))
    }

    async fn put_avatar(
        &self,
        of: &AvatarOf,
        avatar: Option<&Avatar>,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let (key, record) = (keys::avatar(owner(of), &of.name), keys::namespace(owner(of), &of.name));
        let audit = match of.kind {
            NamespaceKind::User => Audit::of_namespace(Action::UserProfile, Owner::User, &of.name),
            NamespaceKind::Organization => Audit::of_organization(Action::OrganizationDescribe, &of.name),
        };
        let commit = Commit::synced()
            .when(Condition::FieldPresent(record, field::NAME))
            .then_all(self.audited(actor, &audit).await?);
        let commit = match avatar {
            Some(avatar) => commit
                .then(Mutation::SetField(key.clone(), field::BODY, avatar.body().clone()))
                .then(Mutation::SetField(key, field::TYPE, avatar.kind().media_type().into())),
            None => commit.then(Mutation::RemoveRecord(key)),
        };

        match self.commit(step!("put_avatar"), commit).await? {
            Outcome::Committed => Ok(()),
            Outcome::Conflicted => Err(RepositoryError::NamespaceUnknown { namespace: of.name.clone() }),
        }
    }
}

const fn owner(of: &AvatarOf) -> Owner {
    match of.kind {
        NamespaceKind::User => Owner::User,
        NamespaceKind::Organization => Owner::Organization,
    }
}

//! The owners of organizations. The last one stays: whoever takes an owner away names another in the commit, who must
//! still be one then.

use bytes::Bytes;
use oci::{AccountName, Namespace};
use proto::metadata::{AccountError, organizations::MemberRole};

use crate::{
    Service,
    accounts::Word as _,
    failure::{next, parsed, parsed_member},
    keys::{self, field},
    keyspace::{Commit, Condition, Direction, Error, MemberRange, RANGE_LIMIT},
    members::joining,
    namespaces::Owner,
    step,
};

/// Owners that are looked at together.
const PAGE: usize = 100;

impl Service {
    /// That somebody else stays an owner when `user` is one no more.
    pub(crate) async fn another_owner(
        &self,
        organization: &Namespace,
        user: &AccountName,
    ) -> Result<Condition, AccountError> {
        let (owners, roles) = (keys::owners(organization), keys::roles(organization));
        let mut members = MemberRange::all();
        loop {
            let listed = self.keyspace().range(&owners, members, PAGE, Direction::Forward).await?;
            let Some(last) = listed.last().cloned() else {
                return Err(AccountError::LastOwner {
                    organization: organization.clone(),
                    user: user.clone(),
                });
            };

            let fields: Vec<_> = listed.iter().map(|name| (roles.clone(), keys::named_by(name))).collect();
            let found = self.fields(&fields).await?.into_iter();
            // A crash may have left in the list who is an owner no more.
            let other = fields.into_iter().zip(found).find(|((_, name), role)| {
                name.as_bytes() != user.as_str().as_bytes() && role.as_ref().is_some_and(is_owner)
            });
            if let Some(((key, name), Some(role))) = other {
                return Ok(Condition::FieldEquals(key, name, role));
            }
            members = MemberRange::after(last);
        }
    }

    /// Makes the founders of organizations owners of them that an earlier release has made, which knew no members.
    pub(crate) async fn prepare_owners(&self) -> Result<(), Error> {
        let mut members = MemberRange::all();
        loop {
            let names =
                self.keyspace().range(&keys::ORGANIZATIONS, members, RANGE_LIMIT, Direction::Forward).await?;
            let Some(last) = names.last().cloned() else {
                return Ok(());
            };
            self.prepare_owners_of(&names).await?;
            members = MemberRange::after(last);
        }
    }

    async fn prepare_owners_of(&self, organizations: &[Bytes]) -> Result<(), Error> {
        let mut founded: Vec<(Namespace, AccountName)> = Vec::new();
        let names = organizations.iter().map(|name| parsed_member(&keys::ORGANIZATIONS, name));
        let names = names.collect::<Result<Vec<Namespace>, Error>>()?;
        let record = |name: &Namespace| keys::namespace(Owner::Organization, name);
        let asked: Vec<_> = names.iter().map(|name| (record(name), field::OWNER)).collect();
        for (name, owner) in names.into_iter().zip(self.fields(&asked).await?) {
            if let Some(owner) = owner {
                let owner = parsed(&record(&name), &field::OWNER, Some(&owner))?;
                founded.push((name, owner));
            }
        }

        let asked: Vec<_> =
            founded.iter().map(|(name, owner)| (keys::roles(name), keys::named(owner))).collect();
        let mut roles = self.fields(&asked).await?.into_iter();
        for (name, owner) in founded {
            if next(&mut roles).is_none() {
                self.make_founder_owner(&name, &owner).await?;
            }
        }
        Ok(())
    }

    /// Unless the organization has had members since, whom the founder may have left.
    async fn make_founder_owner(&self, name: &Namespace, owner: &AccountName) -> Result<(), Error> {
        let commit = Commit::synced()
            .when(Condition::RecordAbsent(keys::roles(name)))
            .when(Condition::FieldPresent(keys::namespace(Owner::Organization, name), field::NAME))
            .when(Condition::FieldPresent(keys::user(owner), field::NAME))
            .then_all(joining(name, owner, MemberRole::Owner));

        let _either_way = self.commit(step!("prepare_owners"), commit).await?;
        Ok(())
    }
}

fn is_owner(role: &Bytes) -> bool {
    role == MemberRole::Owner.word().as_bytes()
}

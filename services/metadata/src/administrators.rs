//! Who administers the hub: a list of those who may be active administrators, so that the last one is known without a
//! walk over all users. A user's record alone says whether they are one; who is missing in the list only cannot
//! vouch for others.

use oci::AccountName;
use proto::metadata::{AccountError, Standing, accounts::Role};

use crate::{
    Service,
    accounts::Word as _,
    failure::{next, parsed_member},
    keys::{self, field},
    keyspace::{Commit, Condition, Direction, Error, Key, MemberRange, Mutation, RANGE_LIMIT},
    step,
};

/// Whether a user of that role and standing is an administrator at all.
pub(crate) fn is_administrator(role: Role, standing: Standing) -> bool {
    role == Role::Administrator && standing == Standing::Active
}

/// Puts a user into the list, before the record says so.
pub(crate) fn listed_administrator(name: &AccountName) -> Mutation {
    Mutation::AddMember(keys::ADMINISTRATORS, name.to_string().into())
}

/// Takes a user out of the list, after the record says so.
pub(crate) fn unlisted_administrator(name: &AccountName) -> Mutation {
    Mutation::RemoveMember(keys::ADMINISTRATORS, name.to_string().into())
}

impl Service {
    /// What must be so for `name` to be an administrator no more: a certain other one stays. Of two that name each
    /// other, the second finds its condition broken.
    pub(crate) async fn another_administers(
        &self,
        name: &AccountName,
    ) -> Result<[Condition; 2], AccountError> {
        let mut members = MemberRange::all();
        loop {
            let page = self.names(&keys::ADMINISTRATORS, members).await?;
            let active = self.active_administrators(&page).await?;
            if let Some(other) = active.into_iter().find(|other| other != name) {
                return Ok(administers(&other));
            }
            let Some(last) = page.last().filter(|_| page.len() == RANGE_LIMIT) else {
                return Err(AccountError::LastAdministrator { user: name.clone() });
            };
            members = MemberRange::after(last.to_string());
        }
    }

    /// Lists the administrators of a keyspace that was founded before there was a list.
    pub(crate) async fn prepare_administrators(&self) -> Result<(), Error> {
        let listed = (keys::SCHEMA, field::ADMINISTRATORS);
        if self.fields(std::slice::from_ref(&listed)).await?.pop().flatten().is_some() {
            return Ok(());
        }

        let mut members = MemberRange::all();
        loop {
            let page = self.names(&keys::USERS, members).await?;
            let found = self.active_administrators(&page).await?;
            let last = page.last().filter(|_| page.len() == RANGE_LIMIT);
            let (key, field) = listed.clone();
            let done = last.is_none().then(|| Mutation::SetField(key, field, "listed".into()));
            let commit = Commit::synced().then_all(found.iter().map(listed_administrator)).then_all(done);
            let _unconditional = self.commit(step!("prepare_administrators"), commit).await?;

            let Some(last) = last else { return Ok(()) };
            members = MemberRange::after(last.to_string());
        }
    }

    async fn names(&self, list: &Key, members: MemberRange) -> Result<Vec<AccountName>, Error> {
        let members = self.keyspace().range(list, members, RANGE_LIMIT, Direction::Forward).await?;
        members.iter().map(|member| parsed_member(list, member)).collect()
    }

    /// Those of `names` whose records say that they are.
    async fn active_administrators(&self, names: &[AccountName]) -> Result<Vec<AccountName>, Error> {
        let asked: Vec<_> = names
            .iter()
            .flat_map(|name| {
                [field::NAME, field::ROLE, field::STANDING].map(|field| (keys::user(name), field))
            })
            .collect();
        let mut values = self.fields(&asked).await?.into_iter();

        let mut active = Vec::new();
        for name in names {
            let [exists, role, standing] = [(); 3].map(|()| next(&mut values));
            let is = |found: Option<bytes::Bytes>, word: &str| found.is_some_and(|found| found == word);
            let administers = is(role, Role::Administrator.word()) && is(standing, Standing::Active.word());
            if exists.is_some() && administers {
                active.push(name.clone());
            }
        }
        Ok(active)
    }
}

fn administers(name: &AccountName) -> [Condition; 2] {
    let key = keys::user(name);
    [
        Condition::FieldEquals(key.clone(), field::ROLE, Role::Administrator.word().into()),
        Condition::FieldEquals(key, field::STANDING, Standing::Active.word().into()),
    ]
}

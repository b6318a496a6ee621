//! What decisions about access depend on, in a number of reads that does not grow with teams or grants: the account
//! beside namespaces, roles and places; then the user's teams; then the grants. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::future::try_join;
use oci::{AccountName, Namespace, RepositoryName};
use proto::metadata::{
    accounts::{AccessFacts, AccessQuestion, FactsOf, NamespaceFacts, NamespaceKind, RepositoryFacts},
    credentials::{Credential, Holder},
    organizations::Level,
};

use crate::{
    Service,
    accounts::{KeptAccount, Word as _},
    failure::{next, parsed_member},
    keys::{self, TeamId, field},
    keyspace::{Direction, Error, Field, Key, RANGE_LIMIT},
    members::{RoleBefore, place},
    namespaces::Owner,
    placement::Placement,
};

/// Namespaces and repositories as they were found.
struct Surroundings {
    namespaces: BTreeMap<Namespace, NamespaceFacts>,
    /// In the order asked.
    placements: Vec<Option<Placement>>,
}

impl Service {
    pub(crate) async fn facts(&self, question: &AccessQuestion) -> Result<AccessFacts, Error> {
        let credential = match &question.asker {
            FactsOf::Credential(hash) => self.credential_by_hash(hash).await?,
            FactsOf::Anonymous | FactsOf::User(_) => None,
        };
        let user = user_of(&question.asker, credential.as_ref()).cloned();

        let surroundings = self.surroundings(question, user.as_ref());
        let behind = behind(&question.asker, credential.as_ref());
        let (account, found) = try_join(self.account_of(behind.as_ref()), surroundings).await?;
        let levels = self.levels_of(user.as_ref(), &question.repositories, &found).await?;
        let mut facts = found.told(question, account, credential, levels);
        self.add_moved(&mut facts.repositories, user.as_ref()).await?;
        Ok(facts)
    }

    /// Adds to names that no repository has what is known of those that were called so.
    async fn add_moved(
        &self,
        facts: &mut [RepositoryFacts],
        user: Option<&AccountName>,
    ) -> Result<(), Error> {
        let mut absent: Vec<_> = facts.iter_mut().filter(|facts| facts.visibility.is_none()).collect();
        if absent.is_empty() {
            return Ok(());
        }
        let names: Vec<RepositoryName> = absent.iter().map(|facts| facts.name.clone()).collect();
        let moved = self.moved(&names).await?;
        let now: Vec<RepositoryName> = moved.iter().flatten().map(|moved| moved.to.clone()).collect();
        if now.is_empty() {
            return Ok(());
        }

        let mut known = self.known_of(&now, user).await?.into_iter();
        for (facts, moved) in absent.iter_mut().zip(moved) {
            let Some(moved) = moved else { continue };
            // Another one may be called so by now.
            let same = known.next().filter(|(_, placement)| placement.is_some_and(|it| it.id == moved.id));
            facts.moved = same.map(|(facts, _)| Box::new(facts));
        }
        Ok(())
    }

    async fn known_of(
        &self,
        repositories: &[RepositoryName],
        user: Option<&AccountName>,
    ) -> Result<Vec<(RepositoryFacts, Option<Placement>)>, Error> {
        let (asker, repositories) = (FactsOf::Anonymous, repositories.to_vec());
        let question = AccessQuestion { asker, repositories, namespaces: Vec::new() };
        let found = self.surroundings(&question, user).await?;
        let levels = self.levels_of(user, &question.repositories, &found).await?;

        let placements = found.placements.clone();
        let facts = found.told(&question, None, None, levels).repositories;
        Ok(facts.into_iter().zip(placements).collect())
    }

    async fn levels_of(
        &self,
        user: Option<&AccountName>,
        repositories: &[RepositoryName],
        found: &Surroundings,
    ) -> Result<Vec<Option<Level>>, Error> {
        match user {
            Some(user) => self.levels(user, repositories, found).await,
            None => Ok(vec![None; repositories.len()]),
        }
    }

    async fn account_of(&self, user: Option<&AccountName>) -> Result<Option<KeptAccount>, Error> {
        match user {
            Some(user) => self.kept_account(user).await,
            None => Ok(None),
        }
    }

    async fn surroundings(
        &self,
        question: &AccessQuestion,
        user: Option<&AccountName>,
    ) -> Result<Surroundings, Error> {
        let AccessQuestion { repositories, namespaces, .. } = question;
        let named: BTreeSet<Namespace> =
            namespaces.iter().cloned().chain(repositories.iter().map(RepositoryName::namespace)).collect();
        let mut asked: Vec<_> = named.iter().flat_map(|name| namespace_fields(name, user)).collect();
        asked.extend(repositories.iter().flat_map(Placement::fields));
        let mut values = self.fields(&asked).await?.into_iter();

        let mut namespaces = BTreeMap::new();
        for name in named {
            namespaces.insert(name.clone(), read_namespace(name, user, &mut values)?);
        }
        let placements = repositories.iter().map(|name| Placement::read(name, &mut values));
        Ok(Surroundings { namespaces, placements: placements.collect::<Result<_, _>>()? })
    }

    /// The highest right of the user on each of the repositories, alone or through teams.
    async fn levels(
        &self,
        user: &AccountName,
        repositories: &[RepositoryName],
        found: &Surroundings,
    ) -> Result<Vec<Option<Level>>, Error> {
        let placed = repositories.iter().zip(&found.placements);
        let placed = placed.filter(|(_, placement)| placement.is_some()).map(|(name, _)| name.namespace());
        let teams = self.teams_of(user, placed.collect(), found).await?;

        let mut asked: Vec<Vec<(Key, Field)>> = Vec::with_capacity(repositories.len());
        for (name, placement) in repositories.iter().zip(&found.placements) {
            let ids = teams.get(&name.namespace()).map(Vec::as_slice).unwrap_or_default();
            asked.push(placement.map(|placement| grant_fields(&placement, user, ids)).unwrap_or_default());
        }
        let mut values = self.fields(&asked.concat()).await?.into_iter();
        asked.iter().map(|fields| highest(fields, &mut values)).collect()
    }

    /// The teams of a user in those of the organizations that it is a member of. Whoever is a member no more has none,
    /// whatever a crash may have left.
    async fn teams_of(
        &self,
        user: &AccountName,
        namespaces: BTreeSet<Namespace>,
        found: &Surroundings,
    ) -> Result<BTreeMap<Namespace, Vec<TeamId>>, Error> {
        let key = keys::user_teams(user);
        let is_member =
            |name: &Namespace| found.namespaces.get(name).is_some_and(|facts| facts.role.is_some());
        let mut teams = BTreeMap::new();
        for name in namespaces.into_iter().filter(is_member) {
            let within = keys::of_organization(&name);
            let entries = self.keyspace().range(&key, within, RANGE_LIMIT, Direction::Forward).await?;
            let ids = entries.iter().map(|entry| parsed_member(&key, keys::last_part(entry)).map(TeamId));
            teams.insert(name, ids.collect::<Result<_, _>>()?);
        }
        Ok(teams)
    }
}

impl Surroundings {
    fn told(
        self,
        question: &AccessQuestion,
        account: Option<KeptAccount>,
        credential: Option<Credential>,
        levels: Vec<Option<Level>>,
    ) -> AccessFacts {
        let namespace = |name: Namespace| {
            let nobody = || NamespaceFacts { name: name.clone(), kind: None, role: None };
            self.namespaces.get(&name).cloned().unwrap_or_else(nobody)
        };
        let repositories = question.repositories.iter().zip(&self.placements).zip(levels);
        let repositories = repositories.map(|((name, placement), level)| RepositoryFacts {
            name: name.clone(),
            visibility: placement.map(|placement| placement.visibility),
            namespace: namespace(name.namespace()),
            level,
            moved: None,
        });

        let revision = account.as_ref().map_or(0, |kept| kept.revision);
        let (account, second_factor) = match account {
            Some(kept) => (Some(kept.account), kept.second_factor),
            None => (None, None),
        };
        AccessFacts {
            account,
            credential,
            repositories: repositories.collect(),
            namespaces: question.namespaces.iter().cloned().map(namespace).collect(),
            second_factor,
            revision,
        }
    }
}

/// The user without whom there are no rights: the one whom the facts are about, or in whose namespace a robot is.
fn behind(asker: &FactsOf, credential: Option<&Credential>) -> Option<AccountName> {
    match credential.map(|credential| &credential.holder) {
        Some(Holder::Robot(name)) => name.namespace().as_str().parse().ok(),
        _ => user_of(asker, credential).cloned(),
    }
}

/// The user whom the facts are about; a robot is none.
fn user_of<'a>(asker: &'a FactsOf, credential: Option<&'a Credential>) -> Option<&'a AccountName> {
    if let FactsOf::User(name) = asker {
        return Some(name);
    }
    match &credential?.holder {
        Holder::User(name) | Holder::Session(name) | Holder::Offline { user: name, .. } => Some(name),
        Holder::Robot(_) => None,
    }
}

/// What says whether a user or an organization has the name, and what the user is there.
fn namespace_fields(name: &Namespace, user: Option<&AccountName>) -> Vec<(Key, Field)> {
    let names = Owner::ALL.map(|owner| (keys::namespace(owner, name), field::NAME));
    names.into_iter().chain(user.map(|user| place(name, user))).collect()
}

/// Reads the next values, which were asked for by `namespace_fields`.
fn read_namespace(
    name: Namespace,
    user: Option<&AccountName>,
    values: &mut impl Iterator<Item = Option<Bytes>>,
) -> Result<NamespaceFacts, Error> {
    let there = Owner::ALL.map(|owner| next(values).map(|_| owner));
    let kind = there.into_iter().flatten().next().map(|owner| match owner {
        Owner::User => NamespaceKind::User,
        Owner::Organization => NamespaceKind::Organization,
    });
    let role = match user {
        Some(user) => RoleBefore::read(&name, user, next(values))?.role,
        None => None,
    };

    Ok(NamespaceFacts { name, kind, role: role.filter(|_| kind == Some(NamespaceKind::Organization)) })
}

fn grant_fields(placement: &Placement, user: &AccountName, teams: &[TeamId]) -> Vec<(Key, Field)> {
    let own = std::iter::once(keys::grantee_user(user));
    let fields = own.chain(teams.iter().map(|id| keys::grantee_team(*id)));
    fields.map(|field| (keys::grants(placement.id), field)).collect()
}

/// Reads the next values, which were asked for by `fields`.
fn highest(
    fields: &[(Key, Field)],
    values: &mut impl Iterator<Item = Option<Bytes>>,
) -> Result<Option<Level>, Error> {
    let mut level = None;
    for (key, field) in fields {
        if let Some(stored) = next(values) {
            level = level.max(Some(Level::stored(key, field, Some(&stored))?));
        }
    }
    Ok(level)
}

#[cfg(test)]
mod tests;

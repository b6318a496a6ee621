//! What somebody may read besides what is public: whole namespaces, and what they were given a right on. The lists lead
//! there; the grants say whether it is so.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::{AccountName, Namespace, RepositoryName};
use proto::metadata::{
    PageRequest, Visibility,
    organizations::MemberRole,
    repositories::{Reader, WantedSearch},
};

use super::Sought;
use crate::{
    Service,
    failure::{next, parsed, parsed_member},
    keys::{self, RepositoryId, TeamId, field},
    keyspace::{Commit, Condition, Direction, Error, Field, Key, MemberRange, Mutation, RANGE_LIMIT},
    namespaces::Owner,
    placement::Placement,
    step,
    tags::LONGEST_PAGE,
    words::Words,
};

/// Repositories that somebody was given a right on, which are looked through for one page, at most.
const GRANTED: usize = 4_000;

/// Of those, what is read together.
const TOGETHER: usize = 500;

/// Entries that lead to no grant, which one page removes, at most.
const MENDED: usize = 20;

/// What may be read besides what is public.
pub(super) enum Rights {
    Nothing,
    Everything,
    Some { namespaces: BTreeMap<Namespace, Owner>, granted: BTreeMap<RepositoryName, Held> },
}

/// A private repository that somebody was given a right on.
pub(super) struct Held {
    id: RepositoryId,
    pub(super) owner: Owner,
    pub(super) words: Words,
}

impl Rights {
    /// Whether they are enough to read a repository.
    pub(super) fn read(&self, name: &RepositoryName, place: &Placement) -> bool {
        match self {
            _ if place.visibility == Visibility::Public => true,
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some { namespaces, granted } => {
                namespaces.contains_key(&name.namespace())
                    || granted.get(name).is_some_and(|held| held.id == place.id)
            }
        }
    }

    pub(super) fn granted(&self) -> impl Iterator<Item = (&RepositoryName, &Held)> {
        let granted = match self {
            Self::Some { granted, .. } => Some(granted),
            Self::Nothing | Self::Everything => None,
        };
        granted.into_iter().flatten()
    }
}

/// Whether what the reader has shown is good for a private repository of that name.
pub(super) fn within(wanted: &WantedSearch, name: &RepositoryName) -> bool {
    wanted.within.is_empty() || wanted.within.iter().any(|pattern| pattern.matches(name))
}

/// An entry that says where somebody may have a right.
struct Listed {
    set: Key,
    member: Bytes,
    id: RepositoryId,
    /// What is in the grants, if it is so.
    field: Field,
    /// The only namespace where the right counts: a team's.
    organization: Option<Namespace>,
}

/// A list of such entries.
struct List {
    set: Key,
    field: Field,
    organization: Option<Namespace>,
}

impl Service {
    pub(super) async fn rights_of(&self, reader: &Reader, sought: &Sought) -> Result<Rights, Error> {
        let (namespaces, granted) = match reader {
            Reader::Outsider => return Ok(Rights::Nothing),
            Reader::Administrator => return Ok(Rights::Everything),
            Reader::Robot(namespace) => {
                let owner = self.claimed(namespace).await?;
                (owner.map(|owner| (namespace.clone(), owner)).into_iter().collect(), BTreeMap::new())
            }
            Reader::User(name) => {
                let page = PageRequest { after: None, limit: LONGEST_PAGE };
                let organizations = self.list_organizations_of(name, &page).await?.entries;
                let granted = self.granted_to(name, &organizations, sought).await?;
                let owned = organizations.into_iter().filter(|(_, role)| *role == MemberRole::Owner);
                let owned = owned.map(|(organization, _)| (organization, Owner::Organization));
                (owned.chain([(name.namespace(), Owner::User)]).collect(), granted)
            }
        };
        Ok(Rights::Some { namespaces, granted })
    }

    /// The private repositories that a user was given a right on, alone or through teams.
    async fn granted_to(
        &self,
        user: &AccountName,
        organizations: &[(Namespace, MemberRole)],
        sought: &Sought,
    ) -> Result<BTreeMap<RepositoryName, Held>, Error> {
        let set = keys::user_granted(user);
        let mut lists = vec![List { set, field: keys::grantee_user(user), organization: None }];
        lists.extend(self.lists_of_teams(user, organizations).await?);

        let listed = self.read_lists(&lists).await?;
        let (mut granted, mut untrue) = (BTreeMap::new(), Vec::new());
        for some in listed.chunks(TOGETHER) {
            self.add_granted(some, sought, &mut granted, &mut untrue).await?;
        }
        for Listed { set, member, id, field, .. } in untrue.into_iter().take(MENDED) {
            let commit = Commit::relaxed()
                .when(Condition::FieldAbsent(keys::grants(*id), field.clone()))
                .then(Mutation::RemoveMember(set.clone(), member.clone()));
            let _either_way = self.commit(step!("mend_granted"), commit).await?;
        }
        Ok(granted)
    }

    /// Of teams in organizations that the user is still a member of. Owners need none.
    async fn lists_of_teams(
        &self,
        user: &AccountName,
        organizations: &[(Namespace, MemberRole)],
    ) -> Result<Vec<List>, Error> {
        let roles: BTreeMap<_, _> = organizations.iter().map(|(name, role)| (name, *role)).collect();
        let key = keys::user_teams(user);
        let all = MemberRange::all();
        let mut lists = Vec::new();
        for team in self.keyspace().range(&key, all, RANGE_LIMIT, Direction::Forward).await? {
            let organization: Namespace = parsed_member(&key, keys::first_part(&team))?;
            if roles.get(&organization) == Some(&MemberRole::Member) {
                let id = parsed_member(&key, keys::last_part(&team)).map(TeamId)?;
                let set = keys::team_granted(&organization, id);
                let field = keys::grantee_team(id);
                lists.push(List { set, field, organization: Some(organization) });
            }
        }
        Ok(lists)
    }

    /// Of each list its share, and then of those that have more what is left: others can give somebody any number of
    /// rights, and must not keep out by that what is had through a team.
    async fn read_lists(&self, lists: &[List]) -> Result<Vec<Listed>, Error> {
        let share = GRANTED / lists.len().max(1);
        let (mut listed, mut longer) = (Vec::new(), Vec::new());
        for list in lists {
            let end = self.read_list(list, None, share, &mut listed).await?;
            longer.extend(end.map(|end| (list, end)));
        }
        for (list, end) in longer {
            let left = GRANTED.saturating_sub(listed.len());
            let _there_is_more = self.read_list(list, Some(end), left, &mut listed).await?;
        }
        Ok(listed)
    }

    /// Entries of a list, at most so many, and the last of them if there may be more.
    async fn read_list(
        &self,
        list: &List,
        after: Option<Bytes>,
        most: usize,
        listed: &mut Vec<Listed>,
    ) -> Result<Option<Bytes>, Error> {
        let List { set, field, organization } = list;
        let (mut behind, mut left) = (after, most);
        while left > 0 {
            let count = left.min(RANGE_LIMIT);
            let members = behind.clone().map_or(MemberRange::all(), MemberRange::after);
            let page = self.keyspace().range(set, members, count, Direction::Forward).await?;
            for member in &page {
                let id = RepositoryId(parsed_member(set, member)?);
                let (set, member) = (set.clone(), member.clone());
                let (field, organization) = (field.clone(), organization.clone());
                listed.push(Listed { set, member, id, field, organization });
            }
            if page.len() < count {
                return Ok(None);
            }
            left -= count;
            behind = page.last().cloned();
        }
        Ok(behind)
    }

    async fn add_granted<'a>(
        &self,
        listed: &'a [Listed],
        sought: &Sought,
        granted: &mut BTreeMap<RepositoryName, Held>,
        untrue: &mut Vec<&'a Listed>,
    ) -> Result<(), Error> {
        let of = |entry: &Listed| {
            let state = keys::state(entry.id);
            let grant = (keys::grants(entry.id), entry.field.clone());
            // By name it does not matter what words there are.
            let words = matches!(sought, Sought::Words { .. }).then(|| (state.clone(), field::WORDS));
            [grant, (state, field::NAME)].into_iter().chain(words)
        };
        let asked: Vec<_> = listed.iter().flat_map(of).collect();
        let mut values = self.fields(&asked).await?.into_iter();

        let mut found: Vec<(RepositoryName, RepositoryId, Words)> = Vec::new();
        for entry in listed {
            let (grant, called) = (next(&mut values), next(&mut values));
            let words = match sought {
                Sought::All => Words::default(),
                Sought::Words { .. } => Words::read(next(&mut values).as_ref()),
            };
            if grant.is_none() {
                untrue.push(entry);
                continue;
            }
            let Some(called) = called else { continue };
            let name: RepositoryName = parsed(&keys::state(entry.id), &field::NAME, Some(&called))?;
            if !sought.may_find(&words) {
                continue;
            }
            if entry.organization.as_ref().is_none_or(|organization| *organization == name.namespace()) {
                found.push((name, entry.id, words));
            }
        }
        let names: Vec<_> = found.iter().map(|(name, ..)| name.clone()).collect();
        for ((name, id, words), place) in found.into_iter().zip(self.placements(&names).await?) {
            let place = place.filter(|place| place.id == id && place.visibility == Visibility::Private);
            granted.extend(place.map(|Placement { owner, .. }| (name, Held { id, owner, words })));
        }
        Ok(())
    }
}

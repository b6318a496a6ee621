//! In what order everything is looked at: lists of the hub, and after each repository, user and organization its own
//! lists. A page is a range of one list, so that a walk goes on where another one has ended, whatever has come meanwhile.

use bytes::Bytes;
use futures_util::future::try_join_all;
use oci::{AccountName, Namespace};
use proto::metadata::integrity::Kind;
use serde::{Deserialize, Serialize};

use super::{Seen, Suspect, repositories::Repository};
use crate::{
    Service, keys,
    keyspace::{Direction, Error, Key, MemberRange},
    namespaces::Owner,
};

/// Entries of a list that are looked at together.
const PAGE: usize = 128;

/// Entries that are looked at at one time.
const AT_ONCE: usize = 16;

/// Where a walk goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    stage: Stage,
    /// All until here are done, or begun.
    after: Option<String>,
    /// In the lists of that one.
    within: Option<Within>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Within {
    list: usize,
    after: Option<String>,
}

/// A list of the hub. What others are counted or found by comes after them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    #[default]
    Repositories,
    PublicRepositories,
    Users,
    Administrators,
    Emails,
    Organizations,
    Invitations,
    Uploads,
    Purge,
    Garbage,
}

/// A list of a repository, a user or an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Tags,
    /// What tags there are, should the lists have missed one.
    NamedTags,
    Tagged,
    Recent,
    Untagged,
    Referrers,
    Trash,
    Uses,
    Unused,
    /// All links, should the lists have missed one.
    Links,
    Memberships,
    UserTeams,
    Roles,
    Members,
    Owners,
    Teams,
    Invitations,
}

/// What is looked at is in this.
#[derive(Debug)]
pub(super) enum Place {
    Hub(Stage),
    Repository(Repository),
    User(AccountName),
    Organization(Namespace),
}

/// An entry of a list, and the one before it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) member: Bytes,
    before: Option<Bytes>,
}

impl Entry {
    /// Whether it is the first that begins with its first part.
    pub(super) fn begins(&self) -> bool {
        self.before.as_ref().map(keys::first_part) != Some(keys::first_part(&self.member))
    }
}

/// A list as it is kept.
enum Form {
    Set(Key),
    /// By the fields of a hash.
    Hash(Key),
}

impl Stage {
    const ALL: [Self; 10] = [
        Self::Repositories,
        Self::PublicRepositories,
        Self::Users,
        Self::Administrators,
        Self::Emails,
        Self::Organizations,
        Self::Invitations,
        Self::Uploads,
        Self::Purge,
        Self::Garbage,
    ];

    pub(super) fn key(self) -> Key {
        match self {
            Self::Repositories => keys::REPOSITORIES,
            Self::PublicRepositories => keys::PUBLIC_REPOSITORIES,
            Self::Users => keys::USERS,
            Self::Administrators => keys::ADMINISTRATORS,
            Self::Emails => keys::EMAILS,
            Self::Organizations => keys::ORGANIZATIONS,
            Self::Invitations => keys::invitations(None),
            Self::Uploads => keys::UPLOADS,
            Self::Purge => keys::PURGE,
            Self::Garbage => keys::GARBAGE,
        }
    }

    /// What is released or added by one of them is seen by those behind it.
    const fn lists(self) -> &'static [List] {
        match self {
            Self::Repositories => &[
                List::Tags,
                List::NamedTags,
                List::Tagged,
                List::Recent,
                List::Untagged,
                List::Referrers,
                List::Trash,
                List::Uses,
                List::Unused,
                List::Links,
            ],
            Self::Users => &[List::Memberships, List::UserTeams],
            Self::Organizations => {
                &[List::Roles, List::Members, List::Owners, List::Teams, List::Invitations]
            }
            _ => &[],
        }
    }

    fn next(self) -> Option<Self> {
        Self::ALL.into_iter().skip_while(|stage| *stage != self).nth(1)
    }
}

impl Place {
    fn form(&self, list: List) -> Option<Form> {
        Some(match (self, list) {
            (Self::Repository(repository), list) => return form_in(repository, list),
            (Self::User(name), List::Memberships) => Form::Set(keys::member_organizations(name)),
            (Self::User(name), List::UserTeams) => Form::Set(keys::user_teams(name)),
            (Self::Organization(name), List::Roles) => Form::Hash(keys::roles(name)),
            (Self::Organization(name), List::Members) => Form::Set(keys::members(name)),
            (Self::Organization(name), List::Owners) => Form::Set(keys::owners(name)),
            (Self::Organization(name), List::Teams) => Form::Hash(keys::teams(name)),
            (Self::Organization(name), List::Invitations) => Form::Set(keys::invitations(Some(name))),
            _ => return None,
        })
    }
}

fn form_in(repository: &Repository, list: List) -> Option<Form> {
    let id = repository.id();
    Some(match list {
        List::Tags => Form::Set(keys::tags(id)),
        List::NamedTags => Form::Hash(keys::tag(id)),
        List::Tagged => Form::Set(keys::tagged(id)),
        List::Recent => Form::Set(keys::recent(id)),
        List::Untagged => Form::Set(keys::untagged(id)),
        List::Referrers => Form::Set(keys::referrers(id)),
        List::Trash => Form::Set(keys::trash(id)),
        List::Uses => Form::Set(keys::uses(id)),
        List::Unused => Form::Set(keys::unused(id)),
        List::Links => Form::Hash(keys::blobs(id)),
        _ => return None,
    })
}

impl Cursor {
    /// One that cannot be read is of another release: the walk begins anew, which does no harm.
    pub(super) fn read(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Of texts and numbers alone: it can always be written.
    pub(super) fn written(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    const fn at(stage: Stage) -> Self {
        Self { stage, after: None, within: None }
    }

    /// Behind the one that it is in.
    fn left(&self) -> Self {
        Self { within: None, ..self.clone() }
    }

    fn in_list(&self, list: usize, after: Option<&Bytes>) -> Self {
        let within = Within { list, after: after.map(text) };
        Self { within: Some(within), ..self.clone() }
    }
}

/// Members need not be UTF-8: a character for each byte.
fn text(member: &Bytes) -> String {
    member.iter().map(|byte| char::from(*byte)).collect()
}

fn member(text: &str) -> Bytes {
    text.chars().filter_map(|character| u8::try_from(character).ok()).collect()
}

impl Service {
    /// A page, and where to go on.
    pub(super) async fn look(&self, cursor: &Cursor) -> Result<(Seen, Option<Cursor>), Error> {
        match &cursor.within {
            Some(within) => self.look_within(cursor, within).await,
            None => self.look_at_place(cursor).await,
        }
    }

    async fn look_at_place(&self, cursor: &Cursor) -> Result<(Seen, Option<Cursor>), Error> {
        let stage = cursor.stage;
        let has_lists = !stage.lists().is_empty();
        let limit = if has_lists { 1 } else { PAGE };
        let after = cursor.after.as_deref().map(member);
        let members = after.map_or(MemberRange::all(), MemberRange::after);
        let members = self.keyspace().range(&stage.key(), members, limit, Direction::Forward).await?;

        let seen = self.inspect_all((&Place::Hub(stage), None), None, &members).await?;
        let next = match members.last() {
            Some(last) if has_lists => {
                Some(Cursor { stage, after: Some(text(last)), within: Some(Within::default()) })
            }
            Some(last) if members.len() == limit => {
                Some(Cursor { stage, after: Some(text(last)), within: None })
            }
            _ => stage.next().map(Cursor::at),
        };
        Ok((seen, next))
    }

    async fn look_within(&self, cursor: &Cursor, within: &Within) -> Result<(Seen, Option<Cursor>), Error> {
        let place = match &cursor.after {
            Some(entry) => self.place_of(cursor.stage, &member(entry)).await?,
            None => None,
        };
        let list = cursor.stage.lists().get(within.list).copied();
        let (Some(place), Some(list)) = (place, list) else {
            return Ok((Seen::default(), Some(cursor.left())));
        };

        let after = within.after.as_deref().map(member);
        let members = self.members_of(&place, list, after.clone()).await?;
        let seen = self.inspect_all((&place, Some(list)), after, &members).await?;
        let next = match members.last() {
            Some(end) if members.len() == PAGE => cursor.in_list(within.list, Some(end)),
            _ => cursor.in_list(within.list + 1, None),
        };
        Ok((seen, Some(next)))
    }

    /// What the entry of a list is about, if it is there.
    async fn place_of(&self, stage: Stage, member: &Bytes) -> Result<Option<Place>, Error> {
        let Ok(name) = std::str::from_utf8(keys::first_part(member)) else { return Ok(None) };
        Ok(match stage {
            Stage::Repositories => self.repository_of(name).await?.map(Place::Repository),
            Stage::Users => name.parse().ok().map(Place::User),
            Stage::Organizations => name.parse().ok().map(Place::Organization),
            _ => None,
        })
    }

    async fn members_of(&self, place: &Place, list: List, after: Option<Bytes>) -> Result<Vec<Bytes>, Error> {
        match place.form(list) {
            Some(Form::Set(key)) => {
                let members = after.map_or(MemberRange::all(), MemberRange::after);
                self.keyspace().range(&key, members, PAGE, Direction::Forward).await
            }
            Some(Form::Hash(key)) => {
                let fields = self.keyspace().fields(&key, after.as_ref(), PAGE).await?;
                Ok(fields.into_iter().map(|(field, _)| field).collect())
            }
            None => Ok(Vec::new()),
        }
    }

    async fn inspect_all(
        &self,
        place: (&Place, Option<List>),
        before: Option<Bytes>,
        members: &[Bytes],
    ) -> Result<Seen, Error> {
        let befores = std::iter::once(before).chain(members.iter().cloned().map(Some));
        let entries = members.iter().cloned().zip(befores);
        let entries: Vec<Entry> = entries.map(|(member, before)| Entry { member, before }).collect();

        let mut seen = Seen { entries: entries.len(), ..Seen::default() };
        for some in entries.chunks(AT_ONCE) {
            let looks = some.iter().map(|entry| self.inspected(place, entry));
            for one in try_join_all(looks).await? {
                seen.add(one);
            }
        }
        Ok(seen)
    }

    /// What cannot be read is a finding, too, and the walk goes on.
    async fn inspected(&self, (place, list): (&Place, Option<List>), entry: &Entry) -> Result<Seen, Error> {
        let mut seen = Seen::default();
        match self.inspect((place, list), entry, &mut seen).await {
            Err(Error::Damaged { what }) => seen.suspect(Suspect::new(Kind::Unreadable, what)),
            outcome => outcome?,
        }
        Ok(seen)
    }

    async fn inspect(
        &self,
        (place, list): (&Place, Option<List>),
        entry: &Entry,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let member = &entry.member;
        match (place, list) {
            (Place::Hub(stage), _) => self.inspect_entry(*stage, member, seen).await,
            (Place::Repository(repository), Some(list)) => {
                self.inspect_in_repository(repository, list, entry, seen).await
            }
            (Place::User(user), Some(list)) => self.inspect_of_user(user, list, member, seen).await,
            (Place::Organization(name), Some(list)) => {
                self.inspect_in_organization(name, list, member, seen).await
            }
            (_, None) => Ok(()),
        }
    }

    async fn inspect_entry(&self, stage: Stage, member: &Bytes, seen: &mut Seen) -> Result<(), Error> {
        match stage {
            Stage::Repositories => self.inspect_repository(member, seen).await,
            Stage::PublicRepositories => self.inspect_public(member, seen).await,
            Stage::Users => self.inspect_namespace(Owner::User, member, seen).await,
            Stage::Administrators => self.inspect_administrator(member, seen).await,
            Stage::Emails => self.inspect_email(member, seen).await,
            Stage::Organizations => self.inspect_namespace(Owner::Organization, member, seen).await,
            Stage::Invitations => self.inspect_invitation(None, member, seen).await,
            Stage::Uploads => self.inspect_upload(member, seen).await,
            Stage::Purge => self.inspect_purge(member, seen).await,
            Stage::Garbage => self.inspect_garbage(member, seen).await,
        }
    }

    async fn inspect_in_repository(
        &self,
        repository: &Repository,
        list: List,
        entry: &Entry,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let member = &entry.member;
        match list {
            List::Tags => self.inspect_tag(repository, member, seen).await,
            List::NamedTags => self.inspect_named_tag(repository, member, seen).await,
            List::Tagged => self.inspect_tagged(repository, entry, seen).await,
            List::Recent => self.inspect_recent(repository, member, seen).await,
            List::Untagged => self.inspect_untagged(repository, member, seen).await,
            List::Referrers => self.inspect_referrer(repository, member, seen).await,
            List::Trash => self.inspect_trash(repository, member, seen).await,
            List::Uses => self.inspect_use(repository, entry, seen).await,
            List::Unused => self.inspect_unused(repository, member, seen).await,
            List::Links => self.inspect_link(repository, member, seen).await,
            _ => Ok(()),
        }
    }
}

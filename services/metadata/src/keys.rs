//! The keyspace: every key, every field and the shape of every ordered-set member. No other file spells one.
//! docs/KEYS.md says why; this says what exists now. It knows no engine and no operation.

// Founding keys
//
//   @user                    hash   Name (last: the account exists), Password (! is none), Role, Standing, Display,
//                                   Email, Created, Updated, Rules (JSON: those of all its repositories that have
//                                   none), Bytes (sum of its repositories'), Quota, Moves (of repositories, a count),
//                                   Origin (while it is made: the identity that it is made for),
//                                   Rev (another one: what was begun before has ended), Verified (the address that
//                                   was), Verify and Reset ("SHA-256 expires address", of mails), Factor (sealed: the
//                                   second factor counts), Proposed (one that does not), Step (of the last code)
//   #organization            hash   Name (last: the organization exists), Owner (who founded it; before the claim),
//                                   Created, Updated, Rules, Display, Description, Email, Bytes, Quota
//   @user$repository±        hash   Id (last: the repository exists), Created, Updated; + is public, - private
//   #organization$repository±       the same
//   &image+                  hash   Size, Verified, State (live, quarantined), Locator (only while live)
//   @users, #orgs            set    name
//   @users:admins            set    name of whoever may be an active administrator; the record says who is one
//   $repos, $repos+          set    repository NUL @ or #; all, and the public ones
//   ^words+, ^words-         set    word NUL rank NUL repository: public ones, and private ones
//   @user:words, #org:words  set    the same of private ones in the namespace
//   @user:granted            set    repository id: where the user may have a right; #org:team:<id>:granted: a team
//
// Under them (the lower half of them, from #org:roles on, is spelled in keys/organizations.rs)
//
//   ^name:<lower case>       value  user or organization; claimed before anything else
//   @user:secrets            hash   credential id → SHA-256 of its secret (hex); Rev counts those that were added
//   @user:robots             hash   what a robot is called → "id SHA-256"; Rev
//   #organization:robots            the same
//   @user:avatar             hash   Body, Type (last: there is a picture); #organization:avatar the same
//   @user:audit, #org:audit  set    ULID NUL JSON of what was done in the namespace; ^audit: in the hub
//   @user:audit:marks        set    ULID of about each 64th of these; #org:audit:marks, ^audit:marks: the same
//   @user:recovery           hash   SHA-256 of a recovery code that was not used
//   ^emails                  set    digest of an address NUL user who has verified it; the record says who has
//   ^secret:<SHA-256>        hash   Holder, Limits (JSON), Label, Created, Expires, Used, Trust (JSON: whose tokens
//                                   are as good), Id (last: the credential exists)
//   ^revoked                 set    ULID NUL JSON of what is not believed any more, in the order of the commits
//   @user:identities         hash   SHA-256 of issuer NUL subject → JSON; Rev
//   ^identity:<SHA-256>      hash   User (this makes it the user's)
//   $Id                      hash   Name (by which it is found; goes last when it is deleted), State (live,
//                                   deleting), Bytes, Rev, Granted (a count), Rules (JSON), Description,
//                                   Words (rank and word each: by what it is found; absent: never indexed)
//   ^moved:<repository>      hash   Until, Id (last): what was called so
//   ^moved                   set    time NUL repository: when an old name ends
//   ^purge                   set    repository id: what is deleted, until nothing is left under the id
//   $Id:tag                  hash   tag → digest, and nothing else: one read follows it to the manifest
//   $Id:pushed               hash   tag → "ULID subject": when and by whom; changes whenever $Id:tag does
//   $Id:tags, $Id:recent     set    tag; ULID NUL tag
//   $Id:tagged               set    digest NUL tag
//   $Id:manifest:<digest>    hash   Type (last: the manifest exists), Body, Size, Subject, Artifact,
//                                   Annotations (JSON, of a referrer), Needs, Pushed, Untagged (of those in
//                                   $Id:untagged: since when)
//   $Id:blobs                hash   digest → "size token [unused since]"
//   $Id:untagged             set    digest of a manifest that may have no tag: those that have none, and a few more
//   $Id:uses                 set    needed NUL manifest
//   $Id:unused               set    time NUL digest
//   $Id:referrers            set    subject NUL artifact type NUL digest
//   $Id:history, $Id:events  set    ULID NUL JSON; of a tag, with type and size of what it names
//   $Id:grants               hash   @user or team id → read, write or admin
//   $Id:pulled               hash   Pulls, Last, digest → when it was pulled last
//   $Id:trash                set    time NUL digest
//   $Id:trash:<digest>       hash   a deleted manifest as it was, Tags (one a line), Deleted (last: it can be restored)
//   &image+:refs             hash   repository id → link token
//   &image+:holds            hash   session → "expires ULID": the ULID names its entry in ^idle
//   ^Upload:<session>        hash   Repository, Id (of that, if it was there), Subject, Started, Progress ("offset
//                                   parts " and the hash's state), Published (the locator that a link began to put
//                                   into a record)
//   ^Upload:<session>:parts  hash   offset → "size generation"; what begins at or behind Progress does not count
//   ^uploads                 set    time NUL session
//   ^garbage                 set    time NUL locator
//   ^idle                    set    ULID NUL digest: content that may have lost its last reference or hold
//   ^invitation:<SHA-256>    hash   Email, Organization, Role, By, Created, Expires, Taken (for whom, while it is),
//                                   Id (last: the invitation exists)
//   ^invitations             set    ULID NUL SHA-256; those into an organization: #org:invitations
//   ^sweeper                 hash   Holder, Until: who reclaims
//   ^backup                  hash   Holder, Until: who dumps what an engine without snapshots has; nobody reclaims
//   ^counting                hash   Since, Until: when pulls are counted
//   ^dirty                   set    repository id: something has happened that no list of a reader says
//   ^dirty:<reader>          set    repository id: something has happened that the reader may not have read
//   ^readers                 hash   reader → ULID since when; Rev (a count)
//   $Id:read                 set    ULID NUL reader: up to where
//   $Id:outbox               hash   Dropped (ULID of the last event that was)
//   ^last                    set    repository id: what is left of a deleted one is its events
//   ^keys                    hash   key id → "created public sealed from until next"; the last two perhaps "-"
//   ^schema                  hash   Version, Founded (since when; 0 is before all),
//                                   Administrators (present: those of before are in @users:admins), Counted,
//                                   Indexed, Loading (while a dump is loaded: its id; nobody uses the rest)
//   #org:roles               hash   user → owner or member
//   #org:members, :owners    set    user; members without a role do not count
//   #org:teams               hash   team → team id (last: the team exists)
//   #org:team:<id>           hash   Name, Description
//   #org:team:<id>:members   set    user: who may be in the team
//   @user:orgs               set    organization; without a role there it does not count
//   @user:teams              set    organization NUL team id: in what teams the user is
//
// Times are milliseconds since the Unix epoch; where they order something, 20 digits. No braces but on a cluster, where
// the part before the suffix is a hash tag (keys/spread.rs), and where commits have besides
//
//   {…}:locks                hash   commit → how far it is in this group, how it has it, and in which group it began;
//                                   Alone (the commit that has the group alone)
//   {…}:commit:<id>          hash   Progress (begun, decided), Work (all that the commit does)

use std::fmt::{self, Display};

use bytes::Bytes;
use oci::{AccountName, Digest, Namespace, NamespacePath, RepositoryName, SessionId, Tag};
use proto::metadata::Visibility;
use ulid::Ulid;

use crate::{
    keyspace::{Field, Key, MemberRange},
    namespaces::Owner,
};

mod audit;
mod backup;
mod federation;
pub(crate) mod field;
mod old_names;
mod organizations;
mod outbox;
mod proofs;
mod search;
pub(crate) mod spread;
mod times;
mod usage;

pub(crate) use audit::{Log, PLACE_LENGTH, audit, audit_marks, happened_from};
#[cfg(test)]
pub(crate) use backup::is_left_out;
pub(crate) use backup::{BACKUP, Leaves, last_word, of_namespace, of_repository};
pub(crate) use federation::{identities, identity};
pub(crate) use old_names::{OLD_NAMES, PURGE, leads_until, moved};
pub(crate) use organizations::{
    TeamId, granted_team, granted_user, grantee_team, grantee_user, grants, member_organizations, members,
    of_organization, owners, roles, team, team_members, team_of, teams, user_teams,
};
pub(crate) use outbox::{LAST, READERS, dirty, outbox, read, read_from, read_through, told_at, told_between};
pub(crate) use proofs::{
    EMAILS, hex, invitation, invitations, invited, of_email, of_invitation, recovery, secret, secrets,
    verified,
};
pub(crate) use search::{
    PRIVATE_WORDS, PUBLIC_WORDS, found_by, listed_as, listed_from, rank_of, team_granted, user_granted,
    word_of, words_in,
};
pub(crate) use times::{
    before, first_at, garbage, happened, idle, made_before, started, told_after, trashed_at,
};
pub(crate) use usage::{COUNTING, avatar, pulled};

pub(crate) const USERS: Key = Key::from_static("@users");
pub(crate) const ORGANIZATIONS: Key = Key::from_static("#orgs");
pub(crate) const ADMINISTRATORS: Key = Key::from_static("@users:admins");
pub(crate) const REPOSITORIES: Key = Key::from_static("$repos");
pub(crate) const PUBLIC_REPOSITORIES: Key = Key::from_static("$repos+");
pub(crate) const UPLOADS: Key = Key::from_static("^uploads");
pub(crate) const GARBAGE: Key = Key::from_static("^garbage");
pub(crate) const IDLE: Key = Key::from_static("^idle");
pub(crate) const REVOKED: Key = Key::from_static("^revoked");
pub(crate) const SWEEPER: Key = Key::from_static("^sweeper");
pub(crate) const DIRTY: Key = Key::from_static("^dirty");
pub(crate) const SIGNING_KEYS: Key = Key::from_static("^keys");
pub(crate) const SCHEMA: Key = Key::from_static("^schema");

/// What names a repository for as long as it lives, however it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RepositoryId(pub(crate) Ulid);

impl Display for RepositoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the key of a user begins with.
pub(crate) const USER_SIGIL: char = '@';
/// What the key of an organization begins with.
pub(crate) const ORGANIZATION_SIGIL: char = '#';

pub(crate) fn user(name: &AccountName) -> Key {
    key(format!("@{name}"))
}

/// The record of a user or an organization.
pub(crate) fn namespace(owner: Owner, name: &Namespace) -> Key {
    key(format!("{}{name}", owner.sigil()))
}

/// Of a user or an organization.
pub(crate) fn robots(owner: Owner, name: &Namespace) -> Key {
    key(format!("{}{name}:robots", owner.sigil()))
}

/// The claim of a name, the same for every spelling of it.
pub(crate) fn claim(name: impl Display) -> Key {
    key(format!("^name:{}", name.to_string().to_lowercase()))
}

pub(crate) fn repository(owner: Owner, name: &RepositoryName, visibility: Visibility) -> Key {
    let sign = match visibility {
        Visibility::Public => '+',
        Visibility::Private => '-',
    };
    key(format!("{}{}${}{sign}", owner.sigil(), name.namespace(), name.repository()))
}

pub(crate) fn state(id: RepositoryId) -> Key {
    key(format!("${id}"))
}

pub(crate) fn tag(id: RepositoryId) -> Key {
    key(format!("${id}:tag"))
}

pub(crate) fn pushed(id: RepositoryId) -> Key {
    key(format!("${id}:pushed"))
}

pub(crate) fn tags(id: RepositoryId) -> Key {
    key(format!("${id}:tags"))
}

pub(crate) fn recent(id: RepositoryId) -> Key {
    key(format!("${id}:recent"))
}

pub(crate) fn tagged(id: RepositoryId) -> Key {
    key(format!("${id}:tagged"))
}

pub(crate) fn untagged(id: RepositoryId) -> Key {
    key(format!("${id}:untagged"))
}

pub(crate) fn manifest(id: RepositoryId, digest: &Digest) -> Key {
    key(format!("${id}:manifest:{digest}"))
}

/// What a tag's value completes to the key of its manifest.
pub(crate) fn manifest_prefix(id: RepositoryId) -> Key {
    key(format!("${id}:manifest:"))
}

pub(crate) fn blobs(id: RepositoryId) -> Key {
    key(format!("${id}:blobs"))
}

pub(crate) fn uses(id: RepositoryId) -> Key {
    key(format!("${id}:uses"))
}

pub(crate) fn unused(id: RepositoryId) -> Key {
    key(format!("${id}:unused"))
}

pub(crate) fn referrers(id: RepositoryId) -> Key {
    key(format!("${id}:referrers"))
}

pub(crate) fn history(id: RepositoryId) -> Key {
    key(format!("${id}:history"))
}

pub(crate) fn events(id: RepositoryId) -> Key {
    key(format!("${id}:events"))
}

pub(crate) fn trash(id: RepositoryId) -> Key {
    key(format!("${id}:trash"))
}

pub(crate) fn trashed(id: RepositoryId, digest: &Digest) -> Key {
    key(format!("${id}:trash:{digest}"))
}

pub(crate) fn image(digest: &Digest) -> Key {
    key(format!("&{digest}+"))
}

pub(crate) fn refs(digest: &Digest) -> Key {
    key(format!("&{digest}+:refs"))
}

pub(crate) fn holds(digest: &Digest) -> Key {
    key(format!("&{digest}+:holds"))
}

pub(crate) fn upload(session: &SessionId) -> Key {
    key(format!("^Upload:{session}"))
}

pub(crate) fn parts(session: &SessionId) -> Key {
    key(format!("^Upload:{session}:parts"))
}

/// The field of a hash that is named by a digest, a tag, a session or an id.
pub(crate) fn named(name: impl Display) -> Field {
    Field::new(name.to_string())
}

/// The field of a hash that is named by a member of an ordered set.
pub(crate) fn named_by(member: &Bytes) -> Field {
    Field::new(member.clone())
}

pub(crate) fn part(offset: u64) -> Field {
    Field::new(format!("{offset:020}"))
}

pub(crate) fn listed(name: &RepositoryName, owner: Owner) -> Bytes {
    format!("{name}\0{}", owner.sigil()).into()
}

/// The entries of `$repos` and `$repos+` under `path`, without itself, and behind `after`. No name contains a
/// character below `-`.
pub(crate) fn listed_under(path: Option<&NamespacePath>, after: Option<&RepositoryName>) -> MemberRange {
    let below = path.map(|path| format!("{path}/")).unwrap_or_default();
    match after {
        Some(after) if after.as_str() > below.as_str() => {
            MemberRange::beginning_with(below).resumed_after(format!("{after}\u{1}"))
        }
        _ => MemberRange::beginning_with(below),
    }
}

pub(crate) fn recent_tag(at: Ulid, tag: &Tag) -> Bytes {
    format!("{at}\0{tag}").into()
}

pub(crate) fn tagged_by(digest: &Digest, tag: &Tag) -> Bytes {
    pair(digest, tag)
}

pub(crate) fn without_tag(digest: &Digest) -> Bytes {
    digest.to_string().into()
}

pub(crate) fn use_of(needed: &Digest, manifest: &Digest) -> Bytes {
    pair(needed, manifest)
}

/// The members that begin with `digest` as their first part.
pub(crate) fn of_digest(digest: &Digest) -> MemberRange {
    MemberRange::beginning_with(format!("{digest}\0"))
}

pub(crate) fn unused_since(time_ms: i64, digest: &Digest) -> Bytes {
    pair(format_args!("{time_ms:020}"), digest)
}

pub(crate) fn referrer(subject: &Digest, artifact_type: &str, digest: &Digest) -> Bytes {
    format!("{subject}\0{artifact_type}\0{digest}").into()
}

/// The referrers of `subject`: all, or those of one type.
pub(crate) fn referrers_of(subject: &Digest, artifact_type: Option<&str>) -> MemberRange {
    MemberRange::beginning_with(match artifact_type {
        Some(artifact_type) => format!("{subject}\0{artifact_type}\0"),
        None => format!("{subject}\0"),
    })
}

/// The artifact type, perhaps empty, of a member that `referrer` made.
pub(crate) fn artifact_type_of(member: &Bytes) -> &[u8] {
    member.split(|byte| *byte == 0).nth(1).unwrap_or_default()
}

pub(crate) fn event(at: Ulid, payload: &str) -> Bytes {
    pair(at, payload)
}

/// The part of a member behind the last NUL.
pub(crate) fn last_part(member: &Bytes) -> &[u8] {
    member.rsplit(|byte| *byte == 0).next().unwrap_or_default()
}

/// The part of a member before the first NUL.
pub(crate) fn first_part(member: &Bytes) -> &[u8] {
    member.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn pair(first: impl Display, second: impl Display) -> Bytes {
    format!("{first}\0{second}").into()
}

fn key(text: String) -> Key {
    Key::new(text)
}

//! The port to the engine that keeps metadata: values, hashes and ordered sets under binary keys,
//! and one atomic commit. It knows no noun and spells no key; `keys.rs` does.

use std::{collections::BTreeMap, fmt, ops::Bound, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

mod apply;
mod commit;
pub mod embedded;
mod encoding;
pub mod memory;
pub mod resp;
pub mod sharded;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

pub use commit::{Commit, Condition, Durability, Mutation};

/// Longest key, field or ordered-set member (bytes): what `LedisDB` takes.
pub const NAME_LIMIT: usize = 1_024;
/// Longest value of a key or a field (bytes).
pub const VALUE_LIMIT: usize = 16 * 1_024 * 1_024;
/// Most members one `range` returns: a page of 1,000 and one more that tells whether another follows.
pub const RANGE_LIMIT: usize = 1_001;
/// Most fields or records asked for in one read, and most fields of a hash that is read whole.
pub const READ_LIMIT: usize = 10_000;

/// A key of the engine; binary-safe.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// A key from its bytes. Only `keys.rs` and the suite spell keys.
    pub(crate) fn new(key: impl Into<Bytes>) -> Self {
        Self(key.into())
    }

    /// A key that never changes.
    pub(crate) const fn from_static(key: &'static str) -> Self {
        Self(Bytes::from_static(key.as_bytes()))
    }

    /// This key with `suffix` after it.
    pub(crate) fn followed_by(&self, suffix: &[u8]) -> Self {
        Self([&self.0[..], suffix].concat().into())
    }

    /// The key as the engine stores it.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// The name of a field of a hash; binary-safe.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(Bytes);

impl Field {
    /// A field from its bytes.
    pub fn new(field: impl Into<Bytes>) -> Self {
        Self(field.into())
    }

    /// A field whose name never changes.
    pub const fn from_static(field: &'static str) -> Self {
        Self(Bytes::from_static(field.as_bytes()))
    }

    /// The field's name as the engine stores it.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl AsRef<[u8]> for Field {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// All fields of one hash; never empty when it comes from an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record(BTreeMap<Bytes, Bytes>);

impl Record {
    /// The value of a field.
    pub fn get(&self, field: impl AsRef<[u8]>) -> Option<&Bytes> {
        self.0.get(field.as_ref())
    }

    /// The value of a field, if it is UTF-8.
    pub fn text(&self, field: impl AsRef<[u8]>) -> Option<&str> {
        std::str::from_utf8(self.get(field)?).ok()
    }

    /// The value of a field, if it is a decimal number.
    pub fn number(&self, field: impl AsRef<[u8]>) -> Option<i64> {
        self.text(field)?.parse().ok()
    }

    /// The fields and their values, in the order of the fields' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.0.iter()
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The first fields above `after`, at most `limit`.
    fn page(self, after: Option<&Bytes>, limit: usize) -> Vec<(Bytes, Bytes)> {
        let above = self.0.into_iter().filter(|(field, _)| after.is_none_or(|after| field > after));
        above.take(limit).collect()
    }

    /// Whether there is no field, which for an engine means that there is no hash.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Bytes, Bytes)> for Record {
    fn from_iter<I: IntoIterator<Item = (Bytes, Bytes)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

/// Which members of an ordered set are meant, by their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRange {
    from: Bound<Bytes>,
    to: Bound<Bytes>,
}

impl MemberRange {
    /// Every member.
    pub const fn all() -> Self {
        Self { from: Bound::Unbounded, to: Bound::Unbounded }
    }

    /// Members at `from` and above.
    pub fn starting_at(from: impl Into<Bytes>) -> Self {
        Self { from: Bound::Included(from.into()), to: Bound::Unbounded }
    }

    /// Members above `last`: the page after the one that ended with it.
    pub fn after(last: impl Into<Bytes>) -> Self {
        Self { from: Bound::Excluded(last.into()), to: Bound::Unbounded }
    }

    /// Members that begin with `prefix`.
    pub fn beginning_with(prefix: impl Into<Bytes>) -> Self {
        let prefix = prefix.into();
        let to = successor(&prefix).map_or(Bound::Unbounded, Bound::Excluded);

        Self { from: Bound::Included(prefix), to }
    }

    /// The same lower bound, and only members below `to`.
    #[must_use]
    pub fn before(self, to: impl Into<Bytes>) -> Self {
        Self { to: Bound::Excluded(to.into()), ..self }
    }

    /// The same lower bound, and only members up to `to`, itself included.
    #[must_use]
    pub fn through(self, to: impl Into<Bytes>) -> Self {
        Self { to: Bound::Included(to.into()), ..self }
    }

    /// The same upper bound, and only members above `last`: goes on inside a prefix.
    #[must_use]
    pub fn resumed_after(self, last: impl Into<Bytes>) -> Self {
        Self { from: Bound::Excluded(last.into()), ..self }
    }

    /// The lower bound.
    pub fn from(&self) -> Bound<&Bytes> {
        self.from.as_ref()
    }

    /// The upper bound.
    pub fn to(&self) -> Bound<&Bytes> {
        self.to.as_ref()
    }

    /// Whether the bounds leave no room for a member, which ordered maps refuse to be asked.
    fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
                from >= to
            }
        }
    }
}

/// The least byte string above all that begin with `prefix`; none if they go on to the end.
fn successor(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut above = prefix[..=last].to_vec();
    above[last] += 1;

    Some(above.into())
}

/// From which end an ordered set is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Least member first.
    Forward,
    /// Greatest member first.
    Backward,
}

/// A name resolved to a body in one round trip.
#[derive(Clone, Debug)]
pub struct Follow {
    /// A field read along, for the caller to check what it had cached.
    pub guard: (Key, Field),
    /// The field whose value completes the key of the record.
    pub pointer: (Key, Field),
    /// What stands before the pointer's value in the key of the record.
    pub prefix: Key,
}

/// What `Follow` found, all of one moment if all is under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The value of the guard.
    pub guard: Option<Bytes>,
    /// The value of the pointer.
    pub pointer: Option<Bytes>,
    /// The hash the pointer leads to.
    pub record: Option<Record>,
}

/// Why an engine did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The engine cannot answer now; retrying may help. A commit may or may not have been applied.
    #[error("metadata engine unavailable while {attempted}")]
    Unavailable { attempted: &'static str },
    /// What is stored cannot be read as what it should be; retrying does not help.
    #[error("metadata damaged: {what}")]
    Damaged { what: String },
    /// There is no room for more; removing still works, and writing once there is room again.
    #[error("no space left for metadata while {attempted}")]
    NoSpace { attempted: &'static str },
    /// The caller asked for something no engine takes; nothing was done.
    #[error("{what} is {size}, allowed are at most {limit} and no empty names")]
    Limit { what: &'static str, size: usize, limit: usize },
}

/// Why a commit was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The condition at this index was the first that did not hold; nothing changed.
    #[error("condition {condition} of the commit does not hold")]
    Conflict { condition: usize },
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// What keeps metadata.
///
/// - A hash without fields and an ordered set without members do not exist.
/// - Ordered sets are ordered by the members' bytes.
/// - Each read sees one moment, on an engine that spreads keys ([`sharded`]) for each group of keys one: what is under
///   one name, as `keys.rs` has it. So what a `follow` reads is of one moment, and what is decided by more is decided
///   again by the conditions of a commit. An acknowledged commit is seen by every later read.
/// - A key has one type: engines differ in what a second one would do.
#[async_trait]
pub trait Keyspace: Send + Sync + 'static {
    /// A plain value.
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error>;

    /// Fields of hashes, in the order asked; at most [`READ_LIMIT`].
    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error>;

    /// Whole hashes, in the order asked; at most [`READ_LIMIT`], with at most as many fields each.
    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error>;

    /// A whole hash.
    async fn record(&self, key: &Key) -> Result<Option<Record>, Error> {
        Ok(self.records(std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// Fields of a hash above `after` with their values, in the order of the fields' bytes, at most `limit`, itself at
    /// most [`RANGE_LIMIT`]. An engine that does better than this reads hashes of any length. One of more than
    /// [`READ_LIMIT`] fields is perhaps not read in one moment: what is there all the while is found.
    async fn fields(
        &self,
        key: &Key,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        commit::check_range(key, limit)?;

        Ok(self.record(key).await?.unwrap_or_default().page(after, limit))
    }

    /// Members of an ordered set, at most `limit`, itself at most [`RANGE_LIMIT`].
    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Bytes>, Error>;

    /// A guard, a pointer and the record it leads to; each is read even if the one before is absent.
    async fn follow(&self, follow: &Follow) -> Result<Followed, Error>;

    /// This moment, to be read for as long as it is kept, which is not for ever: the engine keeps what was removed since.
    /// None if the engine cannot do so.
    fn snapshot(&self) -> Result<Option<Arc<dyn Keyspace>>, Error> {
        Ok(None)
    }

    /// Whether a commit may be applied, and be read, without being acknowledged: because no other server has it.
    fn is_replicated(&self) -> bool {
        false
    }

    /// All conditions hold, then all mutations apply, in the order written; otherwise nothing changed.
    async fn commit(&self, commit: Commit) -> Result<(), CommitError>;
}

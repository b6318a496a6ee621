//! What one commit asks, and the limits every engine holds commits and reads to. It knows no engine.

use bytes::Bytes;

use super::{Error, Field, Follow, Key, MemberRange, NAME_LIMIT, RANGE_LIMIT, READ_LIMIT, VALUE_LIMIT};

/// When a commit may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After it would survive the loss of power.
    Synced,
    /// After it would survive the end of this process.
    Relaxed,
}

/// What must be so for a commit to apply.
#[derive(Clone, Debug)]
pub enum Condition {
    /// The key has no value.
    ValueAbsent(Key),
    /// The field has exactly this value.
    FieldEquals(Key, Field, Bytes),
    /// The field exists.
    FieldPresent(Key, Field),
    /// The field does not exist.
    FieldAbsent(Key, Field),
    /// The hash has no field.
    RecordAbsent(Key),
    /// The members of an ordered set within bounds are exactly so many.
    Members {
        /// The ordered set.
        key: Key,
        /// The bounds.
        members: MemberRange,
        /// How many there must be; less than [`RANGE_LIMIT`].
        count: usize,
    },
}

/// One change.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// Sets a value.
    SetValue(Key, Bytes),
    /// Removes a value, if it is there.
    RemoveValue(Key),
    /// Sets a field of a hash.
    SetField(Key, Field, Bytes),
    /// Removes a field of a hash, if it is there.
    RemoveField(Key, Field),
    /// Removes a hash with all its fields; the caller keeps what it removes at once small.
    RemoveRecord(Key),
    /// Adds to a field that holds a decimal number; absent counts as 0.
    Increment(Key, Field, i64),
    /// Adds a member to an ordered set, if it is not there.
    AddMember(Key, Bytes),
    /// Removes a member of an ordered set, if it is there.
    RemoveMember(Key, Bytes),
    /// Removes an ordered set with all its members; the caller keeps what it removes at once small.
    RemoveSet(Key),
}

/// Conditions and the mutations that depend on them.
#[derive(Clone, Debug)]
pub struct Commit {
    /// All must hold; a conflict names the index of the first that does not.
    pub conditions: Vec<Condition>,
    /// Applied in this order.
    pub mutations: Vec<Mutation>,
    /// When the commit may be acknowledged.
    pub durability: Durability,
}

impl Commit {
    /// A commit that survives the loss of power once acknowledged.
    pub fn synced() -> Self {
        Self { conditions: Vec::new(), mutations: Vec::new(), durability: Durability::Synced }
    }

    /// A commit that the loss of power may take back.
    pub fn relaxed() -> Self {
        Self { durability: Durability::Relaxed, ..Self::synced() }
    }

    /// One more condition.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// One more mutation, after those before.
    #[must_use]
    pub fn then(mut self, mutation: Mutation) -> Self {
        self.mutations.push(mutation);
        self
    }

    /// More conditions.
    #[must_use]
    pub fn when_all(mut self, conditions: impl IntoIterator<Item = Condition>) -> Self {
        self.conditions.extend(conditions);
        self
    }

    /// More mutations, after those before.
    #[must_use]
    pub fn then_all(mut self, mutations: impl IntoIterator<Item = Mutation>) -> Self {
        self.mutations.extend(mutations);
        self
    }
}

impl Commit {
    /// Refuses what some engine could not take, before anything is done.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.conditions.iter().try_for_each(Condition::check)?;

        self.mutations.iter().try_for_each(Mutation::check)
    }

    /// About how much memory and, if it applies, how much room the commit takes (bytes).
    pub(super) fn size_bytes(&self) -> usize {
        let conditions = self.conditions.iter().map(Condition::size_bytes);
        let mutations = self.mutations.iter().map(Mutation::size_bytes);

        conditions.chain(mutations).sum()
    }

    /// Whether the commit may need more room than before.
    pub(super) fn grows(&self) -> bool {
        self.mutations.iter().any(Mutation::grows)
    }
}

impl Condition {
    /// The ordered set has this member.
    pub(crate) fn has_member(key: Key, member: Bytes) -> Self {
        Self::Members { key, members: MemberRange::starting_at(member.clone()).through(member), count: 1 }
    }

    /// The ordered set has these members within bounds, and no others; fewer than [`RANGE_LIMIT`].
    pub(crate) fn only(key: &Key, within: MemberRange, members: &[Bytes]) -> Vec<Self> {
        let count = Self::Members { key: key.clone(), members: within, count: members.len() };
        let each = members.iter().map(|member| Self::has_member(key.clone(), member.clone()));
        std::iter::once(count).chain(each).collect()
    }

    /// The field is as it was read.
    pub(crate) fn unchanged(key: Key, field: Field, read: Option<Bytes>) -> Self {
        match read {
            Some(value) => Self::FieldEquals(key, field, value),
            None => Self::FieldAbsent(key, field),
        }
    }

    /// The key that it is about.
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::ValueAbsent(key)
            | Self::FieldEquals(key, ..)
            | Self::FieldPresent(key, _)
            | Self::FieldAbsent(key, _)
            | Self::RecordAbsent(key)
            | Self::Members { key, .. } => key,
        }
    }

    /// The same about another key.
    pub(super) fn of(mut self, other: Key) -> Self {
        match &mut self {
            Self::ValueAbsent(key)
            | Self::FieldEquals(key, ..)
            | Self::FieldPresent(key, _)
            | Self::FieldAbsent(key, _)
            | Self::RecordAbsent(key)
            | Self::Members { key, .. } => *key = other,
        }
        self
    }

    fn check(&self) -> Result<(), Error> {
        match self {
            Self::ValueAbsent(key) | Self::RecordAbsent(key) => key.check(),
            Self::FieldPresent(key, field) | Self::FieldAbsent(key, field) => {
                key.check()?;
                field.check()
            }
            Self::FieldEquals(key, field, value) => {
                key.check()?;
                field.check()?;
                check_value(value)
            }
            Self::Members { key, count, .. } => {
                key.check()?;
                at_most("a count of members", *count, RANGE_LIMIT - 1)
            }
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::ValueAbsent(key) | Self::RecordAbsent(key) | Self::Members { key, .. } => key.0.len(),
            Self::FieldPresent(key, field) | Self::FieldAbsent(key, field) => key.0.len() + field.0.len(),
            Self::FieldEquals(key, field, value) => key.0.len() + field.0.len() + value.len(),
        }
    }
}

impl Mutation {
    /// The key that it changes.
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::SetValue(key, _)
            | Self::RemoveValue(key)
            | Self::SetField(key, ..)
            | Self::RemoveField(key, _)
            | Self::RemoveRecord(key)
            | Self::Increment(key, ..)
            | Self::AddMember(key, _)
            | Self::RemoveMember(key, _)
            | Self::RemoveSet(key) => key,
        }
    }

    /// The same of another key.
    pub(super) fn of(mut self, other: Key) -> Self {
        match &mut self {
            Self::SetValue(key, _)
            | Self::RemoveValue(key)
            | Self::SetField(key, ..)
            | Self::RemoveField(key, _)
            | Self::RemoveRecord(key)
            | Self::Increment(key, ..)
            | Self::AddMember(key, _)
            | Self::RemoveMember(key, _)
            | Self::RemoveSet(key) => *key = other,
        }
        self
    }

    fn check(&self) -> Result<(), Error> {
        match self {
            Self::RemoveValue(key) | Self::RemoveRecord(key) | Self::RemoveSet(key) => key.check(),
            Self::SetValue(key, value) => {
                key.check()?;
                check_value(value)
            }
            Self::SetField(key, field, value) => {
                key.check()?;
                field.check()?;
                check_value(value)
            }
            Self::RemoveField(key, field) | Self::Increment(key, field, _) => {
                key.check()?;
                field.check()
            }
            Self::AddMember(key, member) | Self::RemoveMember(key, member) => {
                key.check()?;
                check_name("the length of a member", member)
            }
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::RemoveValue(key) | Self::RemoveRecord(key) | Self::RemoveSet(key) => key.0.len(),
            Self::SetField(key, field, value) => key.0.len() + field.0.len() + value.len(),
            Self::RemoveField(key, field) | Self::Increment(key, field, _) => key.0.len() + field.0.len(),
            Self::SetValue(key, bytes) | Self::AddMember(key, bytes) | Self::RemoveMember(key, bytes) => {
                key.0.len() + bytes.len()
            }
        }
    }

    fn grows(&self) -> bool {
        match self {
            Self::SetValue(..) | Self::SetField(..) | Self::Increment(..) | Self::AddMember(..) => true,
            Self::RemoveValue(_)
            | Self::RemoveField(..)
            | Self::RemoveRecord(_)
            | Self::RemoveMember(..)
            | Self::RemoveSet(_) => false,
        }
    }
}

impl Key {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_name("the length of a key", &self.0)
    }
}

impl Field {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_name("the length of a field", &self.0)
    }
}

impl Follow {
    pub(super) fn check(&self) -> Result<(), Error> {
        for (key, field) in [&self.guard, &self.pointer] {
            key.check()?;
            field.check()?;
        }

        self.prefix.check()
    }

    /// The key of the record that `pointer` leads to.
    pub(super) fn target(&self, pointer: &[u8]) -> Result<Key, Error> {
        let target = self.prefix.followed_by(pointer);
        let (key, field) = &self.pointer;
        target.check().map_err(|_| Error::Damaged { what: format!("{key} {field} leads to no key") })?;

        Ok(target)
    }
}

/// Refuses reads that would not be bounded or name what cannot exist.
pub(super) fn check_fields(fields: &[(Key, Field)]) -> Result<(), Error> {
    at_most("the number of fields read", fields.len(), READ_LIMIT)?;

    fields.iter().try_for_each(|(key, field)| {
        key.check()?;
        field.check()
    })
}

/// Refuses reads that would not be bounded or name what cannot exist.
pub(super) fn check_keys(keys: &[Key]) -> Result<(), Error> {
    at_most("the number of records read", keys.len(), READ_LIMIT)?;

    keys.iter().try_for_each(Key::check)
}

/// Refuses pages that would not be bounded.
pub(super) fn check_range(key: &Key, limit: usize) -> Result<(), Error> {
    at_most("the number of members read", limit, RANGE_LIMIT)?;

    key.check()
}

/// Refuses a size above its limit.
pub(super) fn at_most(what: &'static str, size: usize, limit: usize) -> Result<(), Error> {
    if size > limit {
        return Err(Error::Limit { what, size, limit });
    }

    Ok(())
}

fn check_value(value: &Bytes) -> Result<(), Error> {
    at_most("the length of a value", value.len(), VALUE_LIMIT)
}

fn check_name(what: &'static str, name: &Bytes) -> Result<(), Error> {
    // An empty name counts as one beyond the limit: redis takes it, LedisDB does not.
    if name.is_empty() {
        return Err(Error::Limit { what, size: 0, limit: NAME_LIMIT });
    }

    at_most(what, name.len(), NAME_LIMIT)
}

//! The records of credentials, by the hashes of their secrets, and the lists that name them: by id those of a user,
//! by what they are called the robots of a namespace. An entry without a record counts for nothing.

use bytes::Bytes;
use jiff::Timestamp;
use oci::{CredentialId, Namespace, RobotName};
use proto::metadata::{
    AccountError,
    credentials::{Credential, CredentialOwner, Holder, NewCredential, SecretHash},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Service,
    failure::{damaged, parsed, parsed_member},
    keys::{self, field},
    keyspace::{Condition, Error, Field, Key, Mutation, Record},
    namespaces::Owner,
    sessions::millisecond,
};

/// The credentials of one owner.
#[derive(Debug)]
pub(crate) struct List {
    key: Key,
    /// What the owner's namespace is.
    pub(crate) kind: Owner,
    /// The record whose name says that the owner is there.
    owner: Key,
    /// As it was read: whoever adds one must have seen all others.
    rev: Option<Bytes>,
    pub(crate) entries: Vec<Entry>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Entry {
    list: Key,
    field: Field,
    value: Bytes,
    pub(crate) id: CredentialId,
    secret: Key,
    /// None: a crash left the entry alone.
    pub(crate) credential: Option<Credential>,
}

impl Entry {
    /// Of a list; none for the field that is no credential.
    fn read(
        list: &Key,
        owner: &CredentialOwner,
        (name, value): (&Bytes, &Bytes),
    ) -> Option<Result<Self, Error>> {
        (*name != field::REV.as_bytes()).then(|| {
            let (id, hash) = match owner {
                CredentialOwner::User(_) => (&name[..], &value[..]),
                CredentialOwner::Robots(_) => robot_entry(list, value)?,
            };
            let (id, hash) = (parsed_member(list, id)?, parsed_member::<String>(list, hash)?);
            let (field, value, secret) = (Field::new(name.clone()), value.clone(), keys::secret(&hash));
            Ok(Self { list: list.clone(), field, value, id, secret, credential: None })
        })
    }

    /// The entry is as it was read.
    pub(crate) fn unchanged(&self) -> Condition {
        Condition::FieldEquals(self.list.clone(), self.field.clone(), self.value.clone())
    }

    /// Removes it: first what makes it a credential, then its index entry.
    pub(crate) fn removed(&self) -> [Mutation; 2] {
        [
            Mutation::RemoveRecord(self.secret.clone()),
            Mutation::RemoveField(self.list.clone(), self.field.clone()),
        ]
    }

    /// Where it is kept.
    pub(crate) const fn secret(&self) -> &Key {
        &self.secret
    }

    pub(crate) fn is_good(&self, now: Timestamp) -> bool {
        self.credential.as_ref().is_some_and(|credential| credential.is_good(now))
    }

    /// Which robot it is, in the list of those of `namespace`.
    pub(crate) fn robot(&self, namespace: &Namespace) -> Result<RobotName, Error> {
        let label: String = parsed_member(&self.list, self.field.as_bytes())?;
        let bad = |_| damaged(&self.list, &self.field);
        RobotName::new(namespace, &label).map_err(bad)
    }

    /// Whether it is a robot whose secret nobody has, because workloads show their own tokens.
    pub(crate) fn is_trust(&self) -> bool {
        self.credential.as_ref().is_some_and(|credential| credential.trust.is_some())
    }

    /// Whether it is a client that has logged in.
    pub(crate) fn is_client(&self) -> bool {
        matches!(self.holder(), Some(Holder::Offline { .. }))
    }

    /// Whether it is a client that has logged in with the credential `id`: with that it ends.
    fn ends_with(&self, id: &CredentialId) -> bool {
        matches!(self.holder(), Some(Holder::Offline { through: Some(through), .. }) if through == id)
    }

    fn holder(&self) -> Option<&Holder> {
        self.credential.as_ref().map(|credential| &credential.holder)
    }

    /// When it was used last, or made.
    pub(crate) fn seen(&self) -> Option<Timestamp> {
        self.credential.as_ref().map(|credential| credential.used.unwrap_or(credential.created))
    }

    /// Whether it is the robot of that name.
    pub(crate) fn is_called(&self, name: &RobotName) -> bool {
        self.field == keys::named(name.label())
    }
}

impl List {
    /// The owner is there, and nobody has added a credential since.
    pub(crate) fn unchanged(&self) -> [Condition; 2] {
        [
            Condition::FieldPresent(self.owner.clone(), field::NAME),
            Condition::unchanged(self.key.clone(), field::REV, self.rev.clone()),
        ]
    }

    /// What ends with the credential `id`.
    pub(crate) fn ending_with(&self, id: &CredentialId) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.ends_with(id))
    }

    /// Adds a credential: index entry, record; the id comes last, because it is what makes it count.
    pub(crate) fn added(&self, new: &NewCredential, now: Timestamp) -> Result<Vec<Mutation>, Error> {
        let hash = keys::hex(&new.hash);
        let secret = keys::secret(&hash);
        let set = |field, value: Bytes| Mutation::SetField(secret.clone(), field, value);
        let time = |time: Timestamp| Bytes::from(time.as_millisecond().to_string());
        let (name, value) = match &new.holder {
            Holder::User(_) | Holder::Session(_) | Holder::Offline { .. } => (keys::named(&new.id), hash),
            Holder::Robot(robot) => (keys::named(robot.label()), format!("{} {hash}", new.id)),
        };

        let mut mutations = vec![
            Mutation::Increment(self.key.clone(), field::REV, 1),
            Mutation::SetField(self.key.clone(), name, value.into()),
            set(field::HOLDER, json(&new.holder)?),
            set(field::LABEL, new.label.clone().into()),
            set(field::LIMITS, json(&new.limits)?),
            set(field::CREATED, time(now)),
        ];
        mutations.extend(new.expires.map(|expires| set(field::EXPIRES, time(expires))));
        if let Some(trust) = &new.trust {
            mutations.push(set(field::TRUST, json(trust)?));
        }
        mutations.push(set(field::ID, new.id.to_string().into()));
        Ok(mutations)
    }
}

/// There is no credential of that hash.
pub(crate) fn unused_hash(hash: &SecretHash) -> Condition {
    Condition::FieldAbsent(keys::secret(&keys::hex(hash)), field::ID)
}

impl Service {
    /// The credential whose secret has that hash. It may have expired.
    pub(crate) async fn credential_by_hash(&self, hash: &SecretHash) -> Result<Option<Credential>, Error> {
        self.kept_credential(&keys::secret(&keys::hex(hash))).await
    }

    /// The credential of a robot. It may have expired.
    pub(crate) async fn robot(&self, name: &RobotName) -> Result<Option<Credential>, Error> {
        let lists = Owner::ALL.map(|owner| keys::robots(owner, &name.namespace()));
        let asked = lists.map(|list| (list, keys::named(name.label())));
        let values = self.fields(&asked).await?;
        let found = asked.iter().zip(values).find_map(|((list, _), value)| Some((list, value?)));
        let Some((list, value)) = found else { return Ok(None) };

        let (_, hash) = robot_entry(list, &value)?;
        self.kept_credential(&keys::secret(&parsed_member::<String>(list, hash)?)).await
    }

    /// The credentials of an owner, expired ones too.
    pub(crate) async fn list_of(&self, owner: &CredentialOwner) -> Result<List, AccountError> {
        let unknown = || AccountError::OwnerUnknown {
            name: match owner {
                CredentialOwner::User(name) => name.namespace(),
                CredentialOwner::Robots(namespace) => namespace.clone(),
            },
        };
        let (kind, record, key) = self.place_of_list(owner).await?.ok_or_else(unknown)?;
        // A crash may have left a claim, or a part of a record, alone.
        let _exists =
            self.fields(&[(record.clone(), field::NAME)]).await?.pop().flatten().ok_or_else(unknown)?;
        let index = self.keyspace().record(&key).await?.unwrap_or_default();

        let mut entries = entries(&key, owner, &index)?;
        let secrets: Vec<_> = entries.iter().map(|entry| entry.secret.clone()).collect();
        for (entry, record) in entries.iter_mut().zip(self.keyspace().records(&secrets).await?) {
            let credential = credential(&entry.secret, &record.unwrap_or_default())?;
            entry.credential = credential.filter(|credential| credential.id == entry.id);
        }
        Ok(List { rev: index.get(field::REV).cloned(), key, kind, owner: record, entries })
    }

    /// The entry of a credential in the list of its owner.
    pub(crate) async fn entry_of(
        &self,
        owner: &CredentialOwner,
        id: &CredentialId,
    ) -> Result<Option<Entry>, Error> {
        let Some((_, _, key)) = self.place_of_list(owner).await? else {
            return Ok(None);
        };
        let index = self.keyspace().record(&key).await?.unwrap_or_default();
        Ok(entries(&key, owner, &index)?.into_iter().find(|entry| entry.id == *id))
    }

    /// What an owner is, its record, and its list; none if nobody has the name.
    async fn place_of_list(&self, owner: &CredentialOwner) -> Result<Option<(Owner, Key, Key)>, Error> {
        Ok(match owner {
            CredentialOwner::User(name) => Some((Owner::User, keys::user(name), keys::secrets(name))),
            CredentialOwner::Robots(namespace) => self
                .claimed(namespace)
                .await?
                .map(|owner| (owner, keys::namespace(owner, namespace), keys::robots(owner, namespace))),
        })
    }

    pub(crate) async fn kept_credential(&self, key: &Key) -> Result<Option<Credential>, Error> {
        credential(key, &self.keyspace().record(key).await?.unwrap_or_default())
    }
}

fn entries(list: &Key, owner: &CredentialOwner, index: &Record) -> Result<Vec<Entry>, Error> {
    index.iter().filter_map(|entry| Entry::read(list, owner, entry)).collect()
}

/// The id and the hash in what a list says of a robot.
fn robot_entry<'a>(list: &Key, value: &'a Bytes) -> Result<(&'a [u8], &'a [u8]), Error> {
    let space = value.iter().position(|byte| *byte == b' ');
    let space = space.ok_or_else(|| Error::Damaged { what: format!("an entry of {list}") })?;
    Ok((&value[..space], &value[space + 1..]))
}

/// Reads the record of a credential; none if it is not one yet, or no more.
fn credential(key: &Key, record: &Record) -> Result<Option<Credential>, Error> {
    if record.get(field::ID).is_none() {
        return Ok(None);
    }
    let moment = |field| {
        let value = record.get(&field);
        value.map(|value| millisecond(key, &field, Some(value))).transpose()
    };

    Ok(Some(Credential {
        id: parsed(key, &field::ID, record.get(field::ID))?,
        holder: from_json(key, &field::HOLDER, record)?,
        label: parsed(key, &field::LABEL, record.get(field::LABEL))?,
        limits: from_json(key, &field::LIMITS, record)?,
        created: millisecond(key, &field::CREATED, record.get(field::CREATED))?,
        expires: moment(field::EXPIRES)?,
        used: moment(field::USED)?,
        trust: record.get(field::TRUST).map(|_| from_json(key, &field::TRUST, record)).transpose()?,
    }))
}

fn json<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    let text = serde_json::to_vec(value);
    text.map(Bytes::from).map_err(|error| Error::Damaged { what: format!("a credential: {error}") })
}

fn from_json<T: DeserializeOwned>(key: &Key, field: &Field, record: &Record) -> Result<T, Error> {
    let value = record.get(field).ok_or_else(|| damaged(key, field))?;
    serde_json::from_slice(value).map_err(|_| damaged(key, field))
}

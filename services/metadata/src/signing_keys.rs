//! The keys that sign tokens, one field each. Their private halves are sealed by a secret that is not here.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use proto::{
    auth::{KeyId, VerificationKey},
    metadata::{AccountError, Actor, accounts::SigningKey, audit::Action},
};

use crate::{
    Service,
    audit::Audit,
    failure::damaged,
    keys,
    keyspace::{Commit, Condition, Error, Field, Mutation},
    step,
};

impl Service {
    /// Keeps `key` if it is the first, and answers all that are kept then.
    pub(crate) async fn found_key(&self, key: &SigningKey) -> Result<Vec<SigningKey>, AccountError> {
        let field = keys::named(&key.verification.id.0);
        let audit = Audit::of_hub(Action::SigningKeyCreate).to(&key.verification.id.0);
        let commit = Commit::synced()
            .when(Condition::RecordAbsent(keys::SIGNING_KEYS))
            .then_all(self.audited(&Actor::service(), &audit).await?)
            .then(Mutation::SetField(keys::SIGNING_KEYS, field, written(key)));
        // If somebody else was first, theirs is among those that are read.
        let _either_way = self.commit(step!("found_signing_key"), commit).await?;

        self.kept_keys().await
    }

    /// All keys, the oldest first.
    pub(crate) async fn kept_keys(&self) -> Result<Vec<SigningKey>, AccountError> {
        let record = self.keyspace().record(&keys::SIGNING_KEYS).await?.unwrap_or_default();
        let mut kept = record.iter().map(|(id, value)| read(id, value)).collect::<Result<Vec<_>, Error>>()?;

        kept.sort_by(|one, other| {
            (one.created, &one.verification.id).cmp(&(other.created, &other.verification.id))
        });
        Ok(kept)
    }
}

fn written(key: &SigningKey) -> Bytes {
    let SigningKey { verification, sealed_private_key, created } = key;
    let (public, sealed) = (STANDARD.encode(verification.public_key), STANDARD.encode(sealed_private_key));
    format!("{} {public} {sealed}", created.as_millisecond()).into()
}

fn read(id: &Bytes, value: &Bytes) -> Result<SigningKey, Error> {
    parsed(id, value).ok_or_else(|| damaged(&keys::SIGNING_KEYS, &Field::new(id.clone())))
}

fn parsed(id: &Bytes, value: &Bytes) -> Option<SigningKey> {
    let id = KeyId(std::str::from_utf8(id).ok()?.to_owned());
    let mut parts = std::str::from_utf8(value).ok()?.split(' ');
    let created = Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?;
    let public_key = STANDARD.decode(parts.next()?).ok()?.try_into().ok()?;
    let sealed_private_key = STANDARD.decode(parts.next()?).ok()?.into();

    Some(SigningKey { verification: VerificationKey { id, public_key }, sealed_private_key, created })
}

//! The keys that sign tokens, one field each. Their private halves are sealed by a secret that is not here.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use proto::{
    auth::{KeyId, PublicKey, VerificationKey},
    metadata::{AccountError, Actor, accounts::SigningKey, audit::Action},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::Audit,
    failure::damaged,
    keys,
    keyspace::{Commit, Condition, Error, Field, Mutation},
    step,
};

/// What stands where there is nothing.
const NOTHING: &str = "-";

/// What the public half begins with, unless it is of Ed25519.
const P256: &str = "p256:";

/// A key, and what is kept of it.
struct Kept {
    key: SigningKey,
    value: Bytes,
}

impl Kept {
    /// It is as it was read.
    fn unchanged(&self) -> Condition {
        Condition::FieldEquals(keys::SIGNING_KEYS, field_of(&self.key.verification.id), self.value.clone())
    }
}

impl Service {
    /// Keeps `key` if it is the first, and answers all that are kept then.
    pub(crate) async fn found_key(&self, key: &SigningKey) -> Result<Vec<SigningKey>, AccountError> {
        let audit = Audit::of_hub(Action::SigningKeyCreate).to(&key.verification.id.0);
        let commit = Commit::synced()
            .when(Condition::RecordAbsent(keys::SIGNING_KEYS))
            .then_all(self.audited(&Actor::service(), &audit).await?)
            .then(set(key));
        // If somebody else was first, theirs is among those that are read.
        let _either_way = self.commit(step!("found_signing_key"), commit).await?;

        self.kept_keys().await
    }

    /// All keys, the oldest first.
    pub(crate) async fn kept_keys(&self) -> Result<Vec<SigningKey>, AccountError> {
        Ok(self.read_keys().await?.into_iter().map(|kept| kept.key).collect())
    }

    /// Keeps `key` after the newest one, if that is `of` still. The new one first: without it, nothing follows.
    pub(crate) async fn succeed_key(
        &self,
        of: &KeyId,
        key: &SigningKey,
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        for _ in 0..ATTEMPTS {
            let kept = self.read_keys().await?;
            let newest = kept.last().filter(|newest| newest.key.verification.id == *of);
            let Some(newest) = newest.filter(|newest| newest.key.next.is_none()) else {
                return Ok(kept.into_iter().map(|kept| kept.key).collect());
            };

            let next = Some(key.verification.id.clone());
            let followed = SigningKey { until: Some(key.from), next, ..newest.key.clone() };
            let unused = Condition::FieldAbsent(keys::SIGNING_KEYS, field_of(&key.verification.id));
            let audit = Audit::of_hub(Action::SigningKeyCreate).to(&key.verification.id.0);
            let commit = Commit::synced()
                .when(newest.unchanged())
                .when(unused)
                .then_all(self.audited(actor, &audit).await?)
                .then(set(key))
                .then(set(&followed));
            if self.commit(step!("succeed_signing_key"), commit).await? == Outcome::Committed {
                return self.kept_keys().await;
            }
        }

        Err(AccountError::Conflict { attempted: format!("keeping a signing key after {}", of.0).into() })
    }

    /// Says until when the newest key is to sign, if that is `of` still.
    pub(crate) async fn retire_key(
        &self,
        of: &KeyId,
        at: Timestamp,
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        for _ in 0..ATTEMPTS {
            let kept = self.read_keys().await?;
            if kept.iter().all(|kept| kept.key.verification.id != *of) {
                return Err(AccountError::SigningKeyUnknown { id: of.clone() });
            }
            let newest = kept.last().filter(|newest| newest.key.verification.id == *of);
            let Some(newest) = newest.filter(|newest| newest.key.next.is_none()) else {
                return Ok(kept.into_iter().map(|kept| kept.key).collect());
            };

            let retired = SigningKey { until: Some(at), ..newest.key.clone() };
            let audited = self.audited(actor, &Audit::of_hub(Action::SigningKeyRetire).to(&of.0)).await?;
            let commit = Commit::synced().when(newest.unchanged()).then_all(audited).then(set(&retired));
            if self.commit(step!("retire_signing_key"), commit).await? == Outcome::Committed {
                return self.kept_keys().await;
            }
        }

        Err(AccountError::Conflict { attempted: format!("retiring the signing key {}", of.0).into() })
    }

    /// Removes keys, but never the newest one.
    pub(crate) async fn remove_keys(
        &self,
        ids: &[KeyId],
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        for _ in 0..ATTEMPTS {
            let kept = self.read_keys().await?;
            let older = kept.split_last().map_or(&[][..], |(_, older)| older);
            let gone: Vec<&KeyId> =
                older.iter().map(|kept| &kept.key.verification.id).filter(|id| ids.contains(id)).collect();
            let Some(newest) = kept.last().filter(|_| !gone.is_empty()) else {
                return Ok(kept.into_iter().map(|kept| kept.key).collect());
            };

            let removed = gone.iter().map(|id| Mutation::RemoveField(keys::SIGNING_KEYS, field_of(id)));
            let removal = |id: &&KeyId| Audit::of_hub(Action::SigningKeyRemove).to(&id.0);
            let audits: Vec<_> = gone.iter().map(removal).collect();
            let audited = self.all_audited(actor, audits).await?;
            let commit = Commit::synced().when(newest.unchanged()).then_all(audited).then_all(removed);
            if self.commit(step!("remove_signing_keys"), commit).await? == Outcome::Committed {
                return self.kept_keys().await;
            }
        }

        Err(AccountError::Conflict { attempted: "removing signing keys".into() })
    }

    /// The oldest first.
    async fn read_keys(&self) -> Result<Vec<Kept>, Error> {
        let record = self.keyspace().record(&keys::SIGNING_KEYS).await?.unwrap_or_default();
        let mut kept = record.iter().map(|(id, value)| read(id, value)).collect::<Result<Vec<_>, Error>>()?;

        let place = |kept: &Kept| (kept.key.created, kept.key.verification.id.clone());
        kept.sort_by_cached_key(place);
        Ok(kept)
    }
}

fn field_of(id: &KeyId) -> Field {
    keys::named(&id.0)
}

fn set(key: &SigningKey) -> Mutation {
    Mutation::SetField(keys::SIGNING_KEYS, field_of(&key.verification.id), written(key))
}

/// Earlier releases wrote the first three parts, and read no others.
fn written(key: &SigningKey) -> Bytes {
    let SigningKey { verification, sealed_private_key, created, from, until, next } = key;
    let public = match &verification.public_key {
        PublicKey::Ed25519(bytes) => STANDARD.encode(bytes),
        point @ PublicKey::P256 { .. } => format!("{P256}{}", STANDARD.encode(point.bytes())),
    };
    let (created, sealed) = (created.as_millisecond(), STANDARD.encode(sealed_private_key));
    let until = until.map_or_else(|| NOTHING.to_owned(), |until| until.as_millisecond().to_string());
    let next = next.as_ref().map_or(NOTHING, |next| &next.0);
    format!("{created} {public} {sealed} {} {until} {next}", from.as_millisecond()).into()
}

fn read(id: &Bytes, value: &Bytes) -> Result<Kept, Error> {
    let key = parsed(id, value);
    let key = key.ok_or_else(|| damaged(&keys::SIGNING_KEYS, &Field::new(id.clone())))?;
    Ok(Kept { key, value: value.clone() })
}

fn parsed(id: &Bytes, value: &Bytes) -> Option<SigningKey> {
    let id = KeyId(std::str::from_utf8(id).ok()?.to_owned());
    let mut parts = std::str::from_utf8(value).ok()?.split(' ');
    let created = moment(parts.next()?)?;
    let public_key = public(parts.next()?)?;
    let sealed_private_key = STANDARD.decode(parts.next()?).ok()?.into();
    let from = parts.next().map_or(Some(created), moment)?;
    let until = parts.next().filter(|until| *until != NOTHING).map(|until| moment(until).ok_or(()));
    let next = parts.next().filter(|next| *next != NOTHING).map(|next| KeyId(next.to_owned()));

    let verification = VerificationKey { id, public_key };
    Some(SigningKey { verification, sealed_private_key, created, from, until: until.transpose().ok()?, next })
}

fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(text.parse().ok()?).ok()
}

fn public(text: &str) -> Option<PublicKey> {
    match text.strip_prefix(P256) {
        Some(point) => PublicKey::of_point(&STANDARD.decode(point).ok()?),
        None => Some(PublicKey::Ed25519(STANDARD.decode(text).ok()?.try_into().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::{parsed, written};
    use bytes::Bytes;
    use proto::auth::PublicKey;

    /// As releases wrote it that knew one key and one kind.
    const EARLIER: &str = "1767225600123 CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk= c2VhbGVk";

    #[test]
    fn what_earlier_releases_wrote_is_read() {
        let key = parsed(&Bytes::from_static(b"id"), &Bytes::from_static(EARLIER.as_bytes())).unwrap();
        assert_eq!(key.verification.public_key, PublicKey::Ed25519([9; 32]));
        assert_eq!((key.from, key.until, &key.next), (key.created, None, &None));

        let now = String::from_utf8(written(&key).to_vec()).unwrap();
        assert!(now.starts_with(&format!("{EARLIER} ")), "earlier releases read it too: {now}");
    }

    #[test]
    fn what_is_damaged_is_none() {
        for bad in ["", "x", "1 x y", &format!("{EARLIER} x"), &format!("{EARLIER} 1 x")] {
            assert!(parsed(&Bytes::from_static(b"id"), &Bytes::from(bad.to_owned())).is_none(), "{bad}");
        }
    }
}

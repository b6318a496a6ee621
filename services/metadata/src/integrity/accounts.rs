//! Users and organizations: each has claimed its name, and what hangs off a record is there. Secrets and identities are
//! found by the lists of those who have them.

use bytes::Bytes;
use oci::{AccountName, Namespace};
use proto::metadata::{Standing, accounts::Role, integrity::Kind};

use super::{Seen, Suspect, lacks, unlisted};
use crate::{
    Service,
    accounts::Word as _,
    administrators::listed_administrator,
    failure::parsed_member,
    keys::{self, field},
    keyspace::{Condition, Error, Key, Mutation, Record},
    namespaces::Owner,
};

impl Service {
    pub(super) async fn inspect_namespace(
        &self,
        owner: Owner,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let list = match owner {
            Owner::User => keys::USERS,
            Owner::Organization => keys::ORGANIZATIONS,
        };
        let name: Namespace = parsed_member(&list, member)?;
        let key = keys::namespace(owner, &name);
        let record = self.keyspace().record(&key).await?.unwrap_or_default();
        if record.get(field::NAME).is_none() {
            let (has, mended) = unlisted(&list, member);
            let suspect = Suspect::new(Kind::NamespaceListedAlone, &name).when(has);
            seen.suspect(suspect.when(Condition::FieldAbsent(key, field::NAME)).mended_by(mended));
            return Ok(());
        }

        self.inspect_claim((owner, &name), &key, seen).await?;
        if let Some(found) = self.miscounted(owner, &name).await? {
            let suspect = Suspect::new(Kind::BytesMiscounted, &name).when_all(found.as_read);
            seen.suspect(suspect.mended_by(found.corrected));
        }
        self.inspect_credentials(&keys::robots(owner, &name), &name, seen).await?;
        match owner {
            Owner::User => {
                seen.counts.users += 1;
                self.inspect_user(&parsed_member(&list, member)?, &record, seen).await
            }
            Owner::Organization => {
                seen.counts.organizations += 1;
                self.inspect_ownership(&name, &record, seen).await
            }
        }
    }

    /// A claim is made once and never changes.
    async fn inspect_claim(
        &self,
        (owner, name): (Owner, &Namespace),
        record: &Key,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let claim = keys::claim(name);
        let exists = Condition::FieldPresent(record.clone(), field::NAME);
        match self.keyspace().get(&claim).await? {
            None => {
                let suspect = Suspect::new(Kind::NameUnclaimed, name).when(exists);
                let suspect = suspect.when(Condition::ValueAbsent(claim.clone()));
                seen.suspect(suspect.mended_by(Mutation::SetValue(claim, owner.claim().into())));
            }
            Some(value) if value == owner.claim() => {}
            Some(_) => seen.suspect(Suspect::new(Kind::NameClaimedOtherwise, name).when(exists)),
        }
        Ok(())
    }

    async fn inspect_user(&self, user: &AccountName, record: &Record, seen: &mut Seen) -> Result<(), Error> {
        let key = keys::user(user);
        let words = [(field::ROLE, Role::Administrator.word()), (field::STANDING, Standing::Active.word())];
        let administers = words.iter().all(|(field, word)| record.text(field) == Some(*word));
        if administers && !self.contains(&keys::ADMINISTRATORS, user.to_string()).await? {
            let as_read = words.map(|(field, word)| Condition::FieldEquals(key.clone(), field, word.into()));
            let suspect = Suspect::new(Kind::AdministratorUnlisted, user).when_all(as_read);
            let suspect = suspect.when(lacks(&keys::ADMINISTRATORS, user.to_string()));
            seen.suspect(suspect.mended_by(listed_administrator(user)));
        }
        if let Some(email) = record.text(field::VERIFIED) {
            let entry = keys::verified(email, user);
            if !self.contains(&keys::EMAILS, entry.clone()).await? {
                let verified = Condition::FieldEquals(key.clone(), field::VERIFIED, email.to_owned().into());
                let suspect = Suspect::new(Kind::EmailUnlisted, user).when(verified);
                let suspect = suspect.when(lacks(&keys::EMAILS, entry.clone()));
                seen.suspect(suspect.mended_by(Mutation::AddMember(keys::EMAILS, entry)));
            }
        }

        let codes = keys::recovery(user);
        let first = self.keyspace().record(&codes).await?;
        let first = first.and_then(|codes| codes.iter().next().map(|(code, _)| code.clone()));
        if let Some(code) = first.filter(|_| record.get(field::FACTOR).is_none()) {
            let suspect = Suspect::new(Kind::RecoveryCodesAlone, user)
                .when(Condition::FieldAbsent(key, field::FACTOR))
                .when(Condition::FieldPresent(codes.clone(), keys::named_by(&code)));
            seen.suspect(suspect.mended_by(Mutation::RemoveRecord(codes)));
        }
        self.inspect_credentials(&keys::secrets(user), &user.namespace(), seen).await?;
        self.inspect_identities(user, seen).await
    }

    /// Each entry of a list of credentials leads to one.
    async fn inspect_credentials(&self, list: &Key, whose: &Namespace, seen: &mut Seen) -> Result<(), Error> {
        let Some(index) = self.whole(list).await? else { return Ok(()) };
        let mut entries = Vec::new();
        for (name, value) in index.iter().filter(|(name, _)| *name != field::REV.as_bytes()) {
            // Of robots, the id stands before it.
            let hash = value.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            let hash: String = parsed_member(list, hash)?;
            entries.push((name, value, keys::secret(&hash)));
        }

        let asked: Vec<_> = entries.iter().map(|(_, _, secret)| (secret.clone(), field::ID)).collect();
        for ((name, value, secret), id) in entries.into_iter().zip(self.fields(&asked).await?) {
            if id.is_some() {
                continue;
            }
            let (place, shown) = (keys::named_by(name), String::from_utf8_lossy(name));
            let suspect = Suspect::new(Kind::CredentialListedAlone, format_args!("{whose}: {shown}"))
                .when(Condition::FieldEquals(list.clone(), place.clone(), value.clone()))
                .when(Condition::FieldAbsent(secret.clone(), field::ID))
                .mended_by(Mutation::RemoveRecord(secret));
            seen.suspect(suspect.mended_by(Mutation::RemoveField(list.clone(), place)));
        }
        Ok(())
    }

    /// What a user's list has is the user's.
    async fn inspect_identities(&self, user: &AccountName, seen: &mut Seen) -> Result<(), Error> {
        let list = keys::identities(user);
        let Some(index) = self.whole(&list).await? else { return Ok(()) };
        let mut entries = Vec::new();
        for (name, value) in index.iter().filter(|(name, _)| *name != field::REV.as_bytes()) {
            entries.push((name, value, keys::identity(&parsed_member(&list, name)?)));
        }

        let asked: Vec<_> = entries.iter().map(|(_, _, place)| (place.clone(), field::USER)).collect();
        for ((name, value, place), holder) in entries.into_iter().zip(self.fields(&asked).await?) {
            if holder.as_ref().is_some_and(|holder| holder == user.as_str().as_bytes()) {
                continue;
            }
            let (entry, shown) = (keys::named_by(name), String::from_utf8_lossy(name));
            let suspect = Suspect::new(Kind::IdentityListedAlone, format_args!("{user}: {shown}"))
                .when(Condition::FieldEquals(list.clone(), entry.clone(), value.clone()))
                .when(Condition::unchanged(place, field::USER, holder));
            seen.suspect(suspect.mended_by(Mutation::RemoveField(list.clone(), entry)));
        }
        Ok(())
    }
}

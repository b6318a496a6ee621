//! Lists of the hub that lead to records: whoever may administer, addresses, invitations, uploads, and what is to be
//! removed. An entry that is about nothing was left by a crash.

use bytes::Bytes;
use jiff::Timestamp;
use oci::{AccountName, Digest, Locator, Namespace, SessionId};
use proto::metadata::{Standing, accounts::Role, integrity::Kind};

use super::{Seen, Suspect, unlisted};
use crate::{
    Service,
    accounts::Word as _,
    content::Content,
    failure::{damaged_member, next, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Condition, Error, Mutation},
    placement::DELETING,
    sessions::ended,
};

impl Service {
    pub(super) async fn inspect_administrator(&self, member: &Bytes, seen: &mut Seen) -> Result<(), Error> {
        let list = keys::ADMINISTRATORS;
        let user: AccountName = parsed_member(&list, member)?;
        let key = keys::user(&user);
        let fields = [field::NAME, field::ROLE, field::STANDING];
        let asked = fields.map(|field| (key.clone(), field));
        let mut values = self.fields(&asked).await?.into_iter();
        let [name, role, standing] = [(); 3].map(|()| next(&mut values));
        let is = |found: Option<&Bytes>, word: &str| found.is_some_and(|found| found == word);
        let (administrator, active) = (Role::Administrator.word(), Standing::Active.word());
        if name.is_some() && is(role.as_ref(), administrator) && is(standing.as_ref(), active) {
            return Ok(());
        }

        let (has, mended) = unlisted(&list, member);
        let read = asked.into_iter().zip([name, role, standing]);
        let as_read = read.map(|((key, field), value)| Condition::unchanged(key, field, value));
        let suspect = Suspect::new(Kind::AdministratorListedAlone, &user).when(has).when_all(as_read);
        seen.suspect(suspect.mended_by(mended));
        Ok(())
    }

    pub(super) async fn inspect_email(&self, member: &Bytes, seen: &mut Seen) -> Result<(), Error> {
        let list = keys::EMAILS;
        let user: AccountName = parsed_member(&list, keys::last_part(member))?;
        let key = keys::user(&user);
        let verified = self.fields(&[(key.clone(), field::VERIFIED)]).await?.pop().flatten();
        if let Some(verified) = &verified {
            let email: String = parsed_member(&key, verified)?;
            if keys::verified(&email, &user) == *member {
                return Ok(());
            }
        }

        let (has, mended) = unlisted(&list, member);
        let suspect = Suspect::new(Kind::EmailListedAlone, &user).when(has);
        let suspect = suspect.when(Condition::unchanged(key, field::VERIFIED, verified));
        seen.suspect(suspect.mended_by(mended));
        Ok(())
    }

    pub(super) async fn inspect_invitation(
        &self,
        organization: Option<&Namespace>,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let list = keys::invitations(organization);
        let hash: String = parsed_member(&list, keys::last_part(member))?;
        let key = keys::invitation(&hash);
        if self.fields(&[(key.clone(), field::ID)]).await?.pop().flatten().is_none() {
            let (has, mended) = unlisted(&list, member);
            let shown = String::from_utf8_lossy(keys::first_part(member));
            let suspect = Suspect::new(Kind::InvitationListedAlone, shown).when(has);
            let suspect = suspect.when(Condition::FieldAbsent(key.clone(), field::ID));
            seen.suspect(suspect.mended_by(Mutation::RemoveRecord(key)).mended_by(mended));
        }
        Ok(())
    }

    pub(super) async fn inspect_upload(&self, member: &Bytes, seen: &mut Seen) -> Result<(), Error> {
        let list = keys::UPLOADS;
        let started: i64 = parsed_member(&list, keys::first_part(member))?;
        let started = Timestamp::from_millisecond(started).map_err(|_| damaged_member(&list, member))?;
        let session: SessionId = parsed_member(&list, keys::last_part(member))?;
        let key = keys::upload(&session);
        if self.fields(&[(key.clone(), field::PROGRESS)]).await?.pop().flatten().is_none() {
            let suspect = Suspect::new(Kind::UploadListedAlone, session)
                .when(Condition::has_member(list, member.clone()))
                .when(Condition::FieldAbsent(key, field::PROGRESS));
            seen.suspect(suspect.mended_by_all(ended(&session, started)));
        }
        Ok(())
    }

    pub(super) async fn inspect_purge(&self, member: &Bytes, seen: &mut Seen) -> Result<(), Error> {
        let list = keys::PURGE;
        let id = RepositoryId(parsed_member(&list, member)?);
        let state = keys::state(id);
        let is = self.fields(&[(state.clone(), field::STATE)]).await?.pop().flatten();
        if is.as_ref().is_none_or(|is| is != DELETING) {
            let (has, mended) = unlisted(&list, member);
            let suspect = Suspect::new(Kind::PurgeListedAlone, id).when(has);
            let suspect = suspect.when(Condition::unchanged(state, field::STATE, is));
            seen.suspect(suspect.mended_by(mended));
        }
        Ok(())
    }

    pub(super) async fn inspect_garbage(&self, member: &Bytes, seen: &mut Seen) -> Result<(), Error> {
        let list = keys::GARBAGE;
        let locator: Locator = parsed_member(&list, keys::last_part(member))?;
        let digest: &Digest = &locator.content.digest;
        let values = self.keyspace().get_many(&Content::fields(digest)).await?;
        let content = Content::read(digest, &mut values.into_iter())?;
        if content.recorded() == Some(&locator) {
            let (has, mended) = unlisted(&list, member);
            let suspect = Suspect::new(Kind::GarbageInUse, &locator).when(has).when(content.unmoved());
            seen.suspect(suspect.mended_by(mended));
        }
        Ok(())
    }
}

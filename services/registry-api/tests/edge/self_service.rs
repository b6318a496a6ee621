//! What people do about their own accounts, written down, and refused if a test says so.

use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{InvitationId, Namespace};
use proto::{
    auth::{
        IdentityError, SelfService, Subject,
        identities::Asker,
        self_service::{FactorDrop, MadeInvitation, ProposedFactor, SecondFactorStatus, WantedInvitation},
    },
    metadata::invitations::{Invitation, Joining},
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    accounts::ID,
    services::{Faults, When},
};

pub(crate) const INVITATION: &str = "bucket_invitation_5ec2e7";
pub(crate) const FACTOR: &str = "GEZDGNBVGY3TQOJQ";
pub(crate) const RECOVERY: &str = "abcde-fghij-kmnpq-rstuv";

#[derive(Default)]
pub(crate) struct FakeSelfService {
    pub(crate) faults: Faults<IdentityError>,
    pub(crate) done: Mutex<Vec<String>>,
}

fn invitation(joining: Option<Joining>, email: &str) -> Invitation {
    Invitation {
        id: ID.parse().unwrap(),
        email: email.to_owned(),
        joining,
        by: Subject::User("ann".parse().unwrap()),
        created: Timestamp::UNIX_EPOCH,
        expires: Timestamp::UNIX_EPOCH,
    }
}

impl FakeSelfService {
    fn did(&self, call: &'static str, what: &str) -> Result<(), IdentityError> {
        self.faults.check(call, When::Before)?;
        self.done.lock().unwrap().push(format!("{call} {what}").trim_end().to_owned());
        Ok(())
    }
}

#[async_trait]
impl SelfService for FakeSelfService {
    async fn second_factor(&self, _: &Asker) -> Result<SecondFactorStatus, IdentityError> {
        self.did("second_factor", "")?;
        Ok(SecondFactorStatus { active: true, recovery_codes: 7 })
    }

    async fn start_second_factor(
        &self,
        _: &Asker,
        password: &SecretString,
    ) -> Result<ProposedFactor, IdentityError> {
        self.did("start_second_factor", password.expose_secret())?;
        Ok(ProposedFactor { secret: FACTOR.into(), url: format!("otpauth://totp/{FACTOR}").into() })
    }

    async fn finish_second_factor(
        &self,
        _: &Asker,
        code: &SecretString,
    ) -> Result<Vec<SecretString>, IdentityError> {
        self.did("finish_second_factor", code.expose_secret())?;
        Ok(vec![RECOVERY.into()])
    }

    async fn drop_second_factor(&self, _: &Asker, drop: &FactorDrop) -> Result<(), IdentityError> {
        let exposed =
            |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        let (password, code) = (exposed(&drop.password), exposed(&drop.code));
        self.did("drop_second_factor", &format!("{} {password:?} {code:?}", drop.user))
    }

    async fn ask_verification(&self, _: &Asker, password: &SecretString) -> Result<(), IdentityError> {
        self.did("ask_verification", password.expose_secret())
    }

    async fn confirm_email(&self, _: &Asker, secret: &SecretString) -> Result<(), IdentityError> {
        self.did("confirm_email", secret.expose_secret())
    }

    async fn ask_reset(&self, _: &Asker, of: &str) -> Result<(), IdentityError> {
        self.did("ask_reset", of)
    }

    async fn reset(&self, _: &Asker, secret: &SecretString, new: &SecretString) -> Result<(), IdentityError> {
        self.did("reset", &format!("{} {}", secret.expose_secret(), new.expose_secret()))
    }

    async fn invite(&self, _: &Asker, wanted: &WantedInvitation) -> Result<MadeInvitation, IdentityError> {
        let into = wanted.joining.as_ref().map(|joining| (&joining.organization, joining.role));
        self.did("invite", &format!("{:?} {into:?}", wanted.email))?;
        let invitation = invitation(wanted.joining.clone(), &wanted.email);
        let secret = wanted.email.is_empty().then(|| INVITATION.into());
        Ok(MadeInvitation { invitation, secret })
    }

    async fn invited(
        &self,
        _: &Asker,
        organization: Option<&Namespace>,
    ) -> Result<Vec<Invitation>, IdentityError> {
        self.did("invited", &format!("{organization:?}"))?;
        Ok(vec![invitation(None, "bob@example.com")])
    }

    async fn uninvite(
        &self,
        _: &Asker,
        organization: Option<&Namespace>,
        id: &InvitationId,
    ) -> Result<(), IdentityError> {
        self.did("uninvite", &format!("{organization:?} {id}"))
    }
}

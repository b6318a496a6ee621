//! Askers, what they want to do, and what they are given as messages.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::grpc::calling_account;

use super::{
    BadField, Wire, address, parsed, parsed_option, printed, read,
    search::{pattern_texts, patterns},
    subject, timestamp,
};
use crate::{
    auth::{
        Credentials,
        identities::{
            Asker, Deed, IssuedCredential, NewAccount, PasswordChange, Permit, Reads, WantedCredential,
        },
    },
    metadata::{Via, accounts::Role},
    wire::{self, DeedKind},
};

impl Wire for Asker {
    type Message = wire::Asker;

    fn to_message(&self) -> wire::Asker {
        wire::Asker {
            credentials: self.credentials.as_ref().map(Credentials::to_message),
            address: printed(self.address.as_ref()),
            via: self.via.to_message(),
        }
    }

    fn from_message(message: wire::Asker) -> Result<Self, BadField> {
        // Askers of before there were two doors.
        let unsaid = message.via == i32::from(wire::Via::Unspecified);
        let said = Self {
            credentials: message.credentials.map(Credentials::from_message).transpose()?,
            address: address(message.address.as_deref())?,
            via: if unsaid { Via::Ui } else { Via::from_message(message.via)? },
        };
        // Only the hub's own services are believed where somebody is: guesses are counted by that.
        Ok(match calling_account() {
            Some(_) => Self { address: None, via: Via::Service, ..said },
            None => said,
        })
    }
}

impl Wire for Deed {
    type Message = wire::Deed;

    fn to_message(&self) -> wire::Deed {
        let user = match self {
            Self::RemoveMember(_, user) => user.to_string(),
            _ => String::new(),
        };
        let (kind, on) = match self {
            Self::SignedIn => (DeedKind::SignedIn, String::new()),
            Self::ManageHub => (DeedKind::ManageHub, String::new()),
            Self::ManageAccount(name) => (DeedKind::ManageAccount, name.to_string()),
            Self::CreateOrganization => (DeedKind::CreateOrganization, String::new()),
            Self::SeeNamespace(name) => (DeedKind::SeeNamespace, name.to_string()),
            Self::ManageNamespace(name) => (DeedKind::ManageNamespace, name.to_string()),
            Self::RemoveMember(name, _) => (DeedKind::RemoveMember, name.to_string()),
            Self::ReadRepository(name) => (DeedKind::ReadRepository, name.to_string()),
            Self::WriteRepository(name) => (DeedKind::WriteRepository, name.to_string()),
            Self::DeleteFromRepository(name) => (DeedKind::DeleteFromRepository, name.to_string()),
            Self::ManageRepository(name) => (DeedKind::ManageRepository, name.to_string()),
        };
        wire::Deed { kind: kind.into(), on, user }
    }

    fn from_message(message: wire::Deed) -> Result<Self, BadField> {
        let wire::Deed { kind, on, user } = message;
        let unknown = || BadField::unreadable("kind", format_args!("no value has number {kind}"));
        Ok(match DeedKind::try_from(kind).map_err(|_| unknown())? {
            DeedKind::Unspecified => return Err(unknown()),
            DeedKind::SignedIn => Self::SignedIn,
            DeedKind::ManageHub => Self::ManageHub,
            DeedKind::ManageAccount => Self::ManageAccount(parsed("on", &on)?),
            DeedKind::CreateOrganization => Self::CreateOrganization,
            DeedKind::SeeNamespace => Self::SeeNamespace(parsed("on", &on)?),
            DeedKind::ManageNamespace => Self::ManageNamespace(parsed("on", &on)?),
            DeedKind::RemoveMember => Self::RemoveMember(parsed("on", &on)?, parsed("user", &user)?),
            DeedKind::ReadRepository => Self::ReadRepository(parsed("on", &on)?),
            DeedKind::WriteRepository => Self::WriteRepository(parsed("on", &on)?),
            DeedKind::DeleteFromRepository => Self::DeleteFromRepository(parsed("on", &on)?),
            DeedKind::ManageRepository => Self::ManageRepository(parsed("on", &on)?),
        })
    }
}

impl Wire for Permit {
    type Message = wire::AuthorizeResponse;

    fn to_message(&self) -> wire::AuthorizeResponse {
        wire::AuthorizeResponse {
            subject: self.subject.to_string(),
            role: self.role.to_message(),
            actor: Some(self.actor.to_message()),
            credential: printed(self.credential.as_ref()),
            reads_private: self.reads != Reads::Public,
            within: match &self.reads {
                Reads::Within(patterns) => pattern_texts(patterns),
                Reads::Public | Reads::All => Vec::new(),
            },
        }
    }

    fn from_message(message: wire::AuthorizeResponse) -> Result<Self, BadField> {
        Ok(Self {
            subject: subject("subject", &message.subject)?,
            role: Role::from_message(message.role)?,
            credential: parsed_option("credential", message.credential.as_deref())?,
            actor: read("actor", message.actor)?,
            reads: match (message.reads_private, patterns("within", message.within)?) {
                (false, _) => Reads::Public,
                (true, within) if within.is_empty() => Reads::All,
                (true, within) => Reads::Within(within),
            },
        })
    }
}

impl Wire for IssuedCredential {
    type Message = wire::IssuedCredential;

    fn to_message(&self) -> wire::IssuedCredential {
        wire::IssuedCredential {
            secret: self.secret.expose_secret().to_owned(),
            credential: Some(self.credential.to_message()),
        }
    }

    fn from_message(message: wire::IssuedCredential) -> Result<Self, BadField> {
        let wire::IssuedCredential { secret, credential } = message;
        Ok(Self { secret: SecretString::from(secret), credential: read("credential", credential)? })
    }
}

pub(crate) fn sign_up_request(asker: &Asker, new: &NewAccount) -> wire::SignUpRequest {
    wire::SignUpRequest {
        asker: Some(asker.to_message()),
        name: new.name.to_string(),
        password: new.password.expose_secret().to_owned(),
        email: new.email.clone(),
        role: new.role.to_message(),
        invitation: new.invitation.as_ref().map(|secret| secret.expose_secret().to_owned()),
    }
}

pub(crate) fn sign_up(message: wire::SignUpRequest) -> Result<(Asker, NewAccount), BadField> {
    let wire::SignUpRequest { asker, name, password, email, role, invitation } = message;
    let (name, role) = (parsed("name", &name)?, Role::from_message(role)?);
    let (password, invitation) = (SecretString::from(password), invitation.map(SecretString::from));
    let new = NewAccount { name, password, email, role, invitation };
    Ok((read("asker", asker)?, new))
}

pub(crate) fn change_password_request(asker: &Asker, change: &PasswordChange) -> wire::ChangePasswordRequest {
    wire::ChangePasswordRequest {
        asker: Some(asker.to_message()),
        name: change.name.to_string(),
        old: change.old.as_ref().map(|old| old.expose_secret().to_owned()),
        new: change.new.expose_secret().to_owned(),
    }
}

pub(crate) fn change_password(
    message: wire::ChangePasswordRequest,
) -> Result<(Asker, PasswordChange), BadField> {
    let wire::ChangePasswordRequest { asker, name, old, new } = message;
    let (old, new) = (old.map(SecretString::from), SecretString::from(new));
    Ok((read("asker", asker)?, PasswordChange { name: parsed("name", &name)?, old, new }))
}

pub(crate) fn issue_credential_request(
    asker: &Asker,
    wanted: &WantedCredential,
) -> wire::IssueCredentialRequest {
    wire::IssueCredentialRequest {
        asker: Some(asker.to_message()),
        robot: printed(wanted.robot.as_ref()),
        label: wanted.label.clone(),
        limits: Some(wanted.limits.to_message()),
        expires_ms: wanted.expires.map(Timestamp::as_millisecond),
    }
}

pub(crate) fn issue_credential(
    message: wire::IssueCredentialRequest,
) -> Result<(Asker, WantedCredential), BadField> {
    let wire::IssueCredentialRequest { asker, robot, label, limits, expires_ms } = message;
    let wanted = WantedCredential {
        robot: parsed_option("robot", robot.as_deref())?,
        label,
        limits: read("limits", limits)?,
        expires: expires_ms.map(|expires| timestamp("expires_ms", expires)).transpose()?,
    };
    Ok((read("asker", asker)?, wanted))
}

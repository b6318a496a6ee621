//! Identities of elsewhere, ways over providers and secrets of workloads as messages.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::{BadField, Wire, address, at_most, parsed, present, printed, read, timestamp};
use crate::{
    auth::{
        federation::{
            BegunFlow, ExchangedSecret, FinishedFlow, FlowOutcome, FlowPurpose, Provider, ReturnedFlow,
            WantedFlow, WantedTrust, Workload,
        },
        identities::Asker,
    },
    metadata::{
        credentials::LONGEST_LABEL,
        federation::{ForeignIdentity, LinkedIdentity, NewIdentity},
    },
    wire::{self, finish_flow_request, finish_flow_response},
};

super::enumeration!(FlowPurpose, wire::FlowPurpose, "purpose", [SignIn, Link]);

impl Wire for NewIdentity {
    type Message = wire::NewIdentity;

    fn to_message(&self) -> wire::NewIdentity {
        let Self { identity, label } = self;
        wire::NewIdentity {
            issuer: identity.issuer.to_string(),
            subject: identity.subject.to_string(),
            label: label.clone(),
        }
    }

    fn from_message(message: wire::NewIdentity) -> Result<Self, BadField> {
        let wire::NewIdentity { issuer, subject, label } = message;
        let identity = foreign(&issuer, &subject)?;
        Ok(Self { identity, label: at_most("label", LONGEST_LABEL, label)? })
    }
}

impl Wire for LinkedIdentity {
    type Message = wire::LinkedIdentity;

    fn to_message(&self) -> wire::LinkedIdentity {
        let Self { identity, label, linked } = self;
        wire::LinkedIdentity {
            issuer: identity.issuer.to_string(),
            subject: identity.subject.to_string(),
            label: label.clone(),
            linked_ms: linked.as_millisecond(),
        }
    }

    fn from_message(message: wire::LinkedIdentity) -> Result<Self, BadField> {
        let wire::LinkedIdentity { issuer, subject, label, linked_ms } = message;
        let (identity, label) = (foreign(&issuer, &subject)?, at_most("label", LONGEST_LABEL, label)?);
        Ok(Self { identity, label, linked: timestamp("linked_ms", linked_ms)? })
    }
}

fn foreign(issuer: &str, subject: &str) -> Result<ForeignIdentity, BadField> {
    Ok(ForeignIdentity { issuer: parsed("issuer", issuer)?, subject: parsed("subject", subject)? })
}

impl Wire for Provider {
    type Message = wire::Provider;

    fn to_message(&self) -> wire::Provider {
        wire::Provider { name: self.name.to_string(), label: self.label.clone() }
    }

    fn from_message(message: wire::Provider) -> Result<Self, BadField> {
        let wire::Provider { name, label } = message;
        Ok(Self { name: parsed("name", &name)?, label: at_most("label", LONGEST_LABEL, label)? })
    }
}

impl Wire for BegunFlow {
    type Message = wire::BeginFlowResponse;

    fn to_message(&self) -> wire::BeginFlowResponse {
        wire::BeginFlowResponse {
            url: self.url.clone(),
            sealed: self.sealed.expose_secret().to_owned(),
            lifetime_seconds: u32::try_from(self.lifetime.as_secs()).unwrap_or(u32::MAX),
        }
    }

    fn from_message(message: wire::BeginFlowResponse) -> Result<Self, BadField> {
        let wire::BeginFlowResponse { url, sealed, lifetime_seconds } = message;
        let lifetime = Duration::from_secs(lifetime_seconds.into());
        Ok(Self { url, sealed: SecretString::from(sealed), lifetime })
    }
}

impl Wire for ReturnedFlow {
    type Message = wire::FinishFlowRequest;

    fn to_message(&self) -> wire::FinishFlowRequest {
        let answer = match &self.answer {
            Ok(code) => finish_flow_request::Answer::Code(code.expose_secret().to_owned()),
            Err(error) => finish_flow_request::Answer::Error(error.clone()),
        };
        wire::FinishFlowRequest {
            provider: self.provider.to_string(),
            sealed: self.sealed.expose_secret().to_owned(),
            state: self.state.clone(),
            issuer: self.issuer.clone(),
            address: printed(self.address.as_ref()),
            answer: Some(answer),
        }
    }

    fn from_message(message: wire::FinishFlowRequest) -> Result<Self, BadField> {
        let wire::FinishFlowRequest { provider, sealed, state, issuer, address: from, answer } = message;
        let answer = match present("answer", answer)? {
            finish_flow_request::Answer::Code(code) => Ok(SecretString::from(code)),
            finish_flow_request::Answer::Error(error) => Err(error),
        };
        let (provider, sealed) = (parsed("provider", &provider)?, SecretString::from(sealed));
        Ok(Self { provider, sealed, state, answer, issuer, address: address(from.as_deref())? })
    }
}

impl Wire for FinishedFlow {
    type Message = wire::FinishFlowResponse;

    fn to_message(&self) -> wire::FinishFlowResponse {
        let outcome = match &self.outcome {
            FlowOutcome::SignedIn(user, issued) => {
                let (user, issued) = (user.to_string(), Some(issued.to_message()));
                finish_flow_response::Outcome::SignedIn(wire::SignedInUser { user, issued })
            }
            FlowOutcome::Linked(user) => finish_flow_response::Outcome::Linked(user.to_string()),
        };
        wire::FinishFlowResponse { return_to: self.return_to.to_string(), outcome: Some(outcome) }
    }

    fn from_message(message: wire::FinishFlowResponse) -> Result<Self, BadField> {
        let outcome = match present("outcome", message.outcome)? {
            finish_flow_response::Outcome::SignedIn(wire::SignedInUser { user, issued }) => {
                FlowOutcome::SignedIn(parsed("user", &user)?, Box::new(read("issued", issued)?))
            }
            finish_flow_response::Outcome::Linked(user) => FlowOutcome::Linked(parsed("linked", &user)?),
        };
        Ok(Self { return_to: parsed("return_to", &message.return_to)?, outcome })
    }
}

impl Wire for Workload {
    type Message = wire::ExchangeRequest;

    fn to_message(&self) -> wire::ExchangeRequest {
        wire::ExchangeRequest {
            robot: self.robot.to_string(),
            token: self.token.expose_secret().to_owned(),
            address: printed(self.address.as_ref()),
        }
    }

    fn from_message(message: wire::ExchangeRequest) -> Result<Self, BadField> {
        let wire::ExchangeRequest { robot, token, address: from } = message;
        let (robot, token) = (parsed("robot", &robot)?, SecretString::from(token));
        Ok(Self { robot, token, address: address(from.as_deref())? })
    }
}

impl Wire for ExchangedSecret {
    type Message = wire::ExchangeResponse;

    fn to_message(&self) -> wire::ExchangeResponse {
        wire::ExchangeResponse {
            secret: self.secret.expose_secret().to_owned(),
            expires_ms: self.expires.as_millisecond(),
        }
    }

    fn from_message(message: wire::ExchangeResponse) -> Result<Self, BadField> {
        let wire::ExchangeResponse { secret, expires_ms } = message;
        Ok(Self { secret: SecretString::from(secret), expires: timestamp("expires_ms", expires_ms)? })
    }
}

pub(crate) fn begin_flow_request(asker: &Asker, wanted: &WantedFlow) -> wire::BeginFlowRequest {
    wire::BeginFlowRequest {
        asker: Some(asker.to_message()),
        provider: wanted.provider.to_string(),
        purpose: wanted.purpose.to_message(),
        redirect_uri: wanted.redirect_uri.clone(),
        return_to: wanted.return_to.to_string(),
        password: wanted.password.as_ref().map(|password| password.expose_secret().to_owned()),
    }
}

pub(crate) fn begin_flow(message: wire::BeginFlowRequest) -> Result<(Asker, WantedFlow), BadField> {
    let wire::BeginFlowRequest { asker, provider, purpose, redirect_uri, return_to, password } = message;
    let wanted = WantedFlow {
        provider: parsed("provider", &provider)?,
        purpose: FlowPurpose::from_message(purpose)?,
        redirect_uri,
        return_to: parsed("return_to", &return_to)?,
        password: password.map(SecretString::from),
    };
    Ok((read("asker", asker)?, wanted))
}

pub(crate) fn make_trust_request(asker: &Asker, wanted: &WantedTrust) -> wire::MakeTrustRequest {
    wire::MakeTrustRequest {
        asker: Some(asker.to_message()),
        robot: wanted.robot.to_string(),
        label: wanted.label.clone(),
        trust: Some(wanted.trust.to_message()),
        limits: Some(wanted.limits.to_message()),
    }
}

pub(crate) fn make_trust(message: wire::MakeTrustRequest) -> Result<(Asker, WantedTrust), BadField> {
    let wire::MakeTrustRequest { asker, robot, label, trust, limits } = message;
    let (trust, limits) = (read("trust", trust)?, read("limits", limits)?);
    Ok((read("asker", asker)?, WantedTrust { robot: parsed("robot", &robot)?, label, trust, limits }))
}

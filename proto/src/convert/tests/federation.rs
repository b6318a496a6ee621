//! Identities of elsewhere, ways over providers and secrets of workloads read back.

use super::{GENERATION, credential, moment, parse, reads_back, trust, writes_back};
use crate::{
    auth::{
        federation::{
            BegunFlow, ExchangedSecret, FinishedFlow, FlowOutcome, FlowPurpose, Provider, ReturnedFlow,
            WantedFlow, WantedTrust, Workload,
        },
        identities::{Asker, IssuedCredential},
    },
    convert::{BadField, Wire as _, federation},
    metadata::{
        Via,
        credentials::{Limits, Trust},
        federation::{ForeignIdentity, LinkedIdentity, NewIdentity},
    },
    wire,
};

fn nobody() -> Asker {
    Asker { credentials: None, address: None, via: Via::Api }
}

#[test]
fn identities_read_back() {
    let identity =
        ForeignIdentity { issuer: parse("https://id.example.com"), subject: parse("248289761001") };
    reads_back(&NewIdentity::new(identity.clone(), "Änn"));
    reads_back(&LinkedIdentity { identity, label: String::new(), linked: moment() });
    reads_back(&Provider { name: parse("acme"), label: "Acme".to_owned() });
}

#[test]
fn ways_over_providers_read_back() {
    for purpose in [FlowPurpose::SignIn, FlowPurpose::Link] {
        let wanted = WantedFlow {
            provider: parse("acme"),
            purpose,
            redirect_uri: "https://hub.example.com/back".to_owned(),
            return_to: parse("/x?y"),
            password: Some("a password".into()),
        };
        let message = federation::begin_flow_request(&nobody(), &wanted);
        let (asker, read) = federation::begin_flow(message.clone()).unwrap();
        assert_eq!(federation::begin_flow_request(&asker, &read), message);
        assert_eq!((read.purpose, message.password.as_deref()), (purpose, Some("a password")));
    }

    let lifetime = std::time::Duration::from_mins(10);
    let url = "https://id.example.com/auth?x".to_owned();
    writes_back(&BegunFlow { url, sealed: "sealed".into(), lifetime });
    for answer in [Ok("code".into()), Err("access_denied".to_owned())] {
        writes_back(&ReturnedFlow {
            provider: parse("acme"),
            sealed: "sealed".into(),
            state: "state".to_owned(),
            answer,
            issuer: Some("https://id.example.com".to_owned()),
            address: "192.0.2.1".parse().ok(),
        });
    }
    let issued = IssuedCredential { secret: "bucket_session_00".into(), credential: credential() };
    for outcome in [FlowOutcome::SignedIn(parse("ann"), Box::new(issued)), FlowOutcome::Linked(parse("ann"))]
    {
        let message = writes_back(&FinishedFlow { return_to: parse("/"), outcome });
        assert!(message.outcome.is_some());
    }
}

#[test]
fn what_workloads_ask_reads_back() {
    reads_back(&trust());
    let wanted = WantedTrust {
        robot: parse("team+deploy"),
        label: "deploys".to_owned(),
        trust: trust(),
        limits: Limits::none(),
    };
    let message = federation::make_trust_request(&nobody(), &wanted);
    assert_eq!(federation::make_trust(message).unwrap().1, wanted);
    writes_back(&Workload { robot: parse("team+deploy"), token: "a.b.c".into(), address: None });
    writes_back(&ExchangedSecret { secret: GENERATION.into(), expires: moment() });

    let without_claims = wire::Trust { claims: std::collections::HashMap::new(), ..trust().to_message() };
    let refused = Trust::from_message(without_claims).unwrap_err();
    assert!(matches!(refused, BadField::Unreadable { field: "claims", .. }), "{refused:?}");
}

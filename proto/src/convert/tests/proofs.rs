//! What the contracts of second factors, tickets, invitations and self-service say.

use bytes::Bytes;
use secrecy::ExposeSecret as _;

use super::{
    super::{BadField, proofs, self_service},
    GENERATION, actor, moment, parse, reads_back, writes_back,
};
use crate::{
    auth::{
        Subject,
        identities::Asker,
        self_service::{FactorDrop, MadeInvitation, ProposedFactor, SecondFactorStatus, WantedInvitation},
    },
    metadata::{
        Via,
        invitations::{Invitation, Joining, NewInvitation},
        organizations::MemberRole,
        proofs::{Code, Confirmed, Purpose, SecondFactor, SecondFactors, Ticket},
    },
    wire,
};

fn factor() -> SecondFactor {
    SecondFactor { sealed_secret: Bytes::from_static(b"\0sealed") }
}

fn joining() -> Joining {
    Joining { organization: parse("team"), role: MemberRole::Owner }
}

fn invitation() -> Invitation {
    Invitation {
        id: parse(GENERATION),
        email: "bob@example.com".to_owned(),
        joining: Some(joining()),
        by: Subject::User(parse("alice")),
        created: moment(),
        expires: moment(),
    }
}

fn asker() -> Asker {
    Asker { credentials: None, address: Some(parse("2001:db8::1")), via: Via::Api }
}

#[test]
fn second_factors_and_codes_read_back() {
    reads_back(&SecondFactors::default());
    reads_back(&SecondFactors { active: Some(factor()), proposed: Some(factor()), recovery_codes: 10 });
    for code in [Code::Step(u64::MAX), Code::Recovery([7; 32])] {
        reads_back(&code);
    }

    let confirmed = Confirmed { factor: factor(), step: 59, recovery_codes: vec![[1; 32]; 10] };
    let message = proofs::confirmation(&parse("alice"), &confirmed, &actor());
    assert_eq!(proofs::confirmed(message).unwrap(), (parse("alice"), confirmed.clone(), actor()));
    let many = Confirmed { recovery_codes: vec![[1; 32]; 11], ..confirmed };
    let refused = proofs::confirmed(proofs::confirmation(&parse("alice"), &many, &actor()));
    assert!(matches!(refused, Err(BadField::Unreadable { field: "recovery_codes", .. })), "{refused:?}");
}

#[test]
fn tickets_read_back() {
    let email = || "alice@example.com".to_owned();
    for purpose in [Purpose::VerifyEmail(email()), Purpose::ResetPassword(email())] {
        let ticket = Ticket { purpose, hash: [9; 32], expires: moment() };
        let message = proofs::ticket_request(&parse("alice"), &ticket);
        assert_eq!(proofs::ticket(message.clone()).unwrap(), (parse("alice"), ticket));
        for other in [None, Some(email())] {
            let unclear =
                wire::PutTicketRequest { email: other.clone(), reset_email: other, ..message.clone() };
            let refused = proofs::ticket(unclear);
            assert!(matches!(refused, Err(BadField::Unreadable { field: "reset_email", .. })), "{refused:?}");
        }
    }
}

#[test]
fn invitations_read_back() {
    reads_back(&invitation());
    reads_back(&Invitation { joining: None, by: Subject::Anonymous, ..invitation() });
    let new = NewInvitation {
        id: parse(GENERATION),
        hash: [3; 32],
        email: String::new(),
        joining: Some(joining()),
        expires: moment(),
    };
    reads_back(&NewInvitation { joining: None, ..new.clone() });
    reads_back(&new);
}

#[test]
fn what_people_do_about_their_accounts_reads_back() {
    reads_back(&SecondFactorStatus { active: true, recovery_codes: 3 });
    let proposed = ProposedFactor { secret: "GEZDGNBV".into(), url: "otpauth://totp/x".into() };
    let message = writes_back(&proposed);
    assert_eq!((message.secret.as_str(), message.url.as_str()), ("GEZDGNBV", "otpauth://totp/x"));
    for secret in [None, Some("a secret".into())] {
        let message = writes_back(&MadeInvitation { invitation: invitation(), secret: secret.clone() });
        assert_eq!(message.secret.is_some(), secret.is_some());
    }

    let drop =
        FactorDrop { user: parse("alice"), password: Some("pass".into()), code: Some("123456".into()) };
    let (_, read) = self_service::drop(self_service::drop_request(&asker(), &drop)).unwrap();
    assert_eq!(read.user, drop.user);
    assert_eq!(read.password.unwrap().expose_secret(), "pass");
    assert_eq!(read.code.unwrap().expose_secret(), "123456");

    for joining in [None, Some(joining())] {
        let wanted = WantedInvitation { email: "bob@example.com".to_owned(), joining };
        let message = self_service::invite_request(&asker(), &wanted);
        assert_eq!(self_service::invite(message).unwrap().1, wanted);
    }
}

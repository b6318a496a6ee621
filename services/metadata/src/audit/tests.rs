//! That what an entry names fits into a member of an ordered set, whatever it is called.

use oci::{AccountName, Algorithm, Digest, Namespace};
use proto::metadata::{Actor, Via, audit::Action};

use super::{Audit, payload};
use crate::{keys, keyspace::NAME_LIMIT, namespaces::Owner};

fn actor(subject: &str) -> Actor {
    let credential = "01JD0000000000000000000007".parse().ok();
    let address = "2001:db8:1111:2222:3333:4444:5555:6666".parse().ok();
    Actor { subject: subject.parse().unwrap(), via: Via::Registry, address, credential }
}

#[test]
fn the_longest_of_all_names_fit_into_an_entry() {
    let (namespace, account): (Namespace, AccountName) =
        ("n".repeat(200).parse().unwrap(), "a".repeat(64).parse().unwrap());
    let robot = format!("{namespace}+{}", "r".repeat(64)).parse().unwrap();
    let repository = format!("{}/{}", "n".repeat(100), "r".repeat(99)).parse().unwrap();
    let digest = Digest::of(Algorithm::Sha512, b"");
    let id = "01JD0000000000000000000007".parse().unwrap();
    let widest = "\u{1}".repeat(100);
    let tag = "t".repeat(128).parse().unwrap();

    let longest = [
        Audit::of_repository(Action::TagRestore, Owner::User, &repository).tag(&tag).digest(&digest),
        Audit::of_namespace(Action::RobotCreate, Owner::Organization, &namespace)
            .robot(&robot)
            .credential(&id)
            .label(&widest),
        Audit::of_organization(Action::TeamMemberRemove, &namespace)
            .user(&account)
            .team(&"t".repeat(64).parse().unwrap())
            .to("administrator"),
        Audit::of_user(Action::TokenCreate, &account).credential(&id).label(&widest),
    ];
    for audit in longest {
        let by =
            if audit.target.robot.is_some() { actor(account.as_str()) } else { actor(&robot.to_string()) };
        let text = payload(&by, &audit).unwrap();
        let length = text.len() + keys::PLACE_LENGTH;
        assert!(length <= NAME_LIMIT, "{length} bytes: {text}");
    }
}

//! Paths, and the names and tags in them: exactly the grammar's texts are taken, and what is printed is read as
//! the same again, also when every byte of it is percent-encoded.

use std::{fmt::Write as _, sync::LazyLock};

use oci::{Reference, RepositoryName, RobotName, SessionId, Tag, Target, TeamName};
use regex::Regex;

use crate::grammar::{self, DIGEST, NAME, PART, SESSION, TAG};

static NAMES: LazyLock<Regex> = LazyLock::new(|| grammar::whole(NAME));
static TAGS: LazyLock<Regex> = LazyLock::new(|| grammar::whole(TAG));
static REFERENCES: LazyLock<Regex> = LazyLock::new(|| grammar::whole(&format!("{TAG}|{DIGEST}")));
static ROBOTS: LazyLock<Regex> = LazyLock::new(|| grammar::whole(&format!("{PART}\\+{PART}")));
static PARTS: LazyLock<Regex> = LazyLock::new(|| grammar::whole(PART));
static SESSIONS: LazyLock<Regex> = LazyLock::new(|| grammar::whole(SESSION));
static PATHS: LazyLock<Regex> = LazyLock::new(|| {
    let blobs = format!("blobs/({DIGEST}|uploads/({SESSION})?)");
    grammar::whole(&format!("/v2/(_catalog|{NAME}/({blobs}|manifests/({TAG}|{DIGEST})|tags/list))?"))
});

/// For any bytes.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    check_parts(text);

    let Ok(target) = Target::parse(text) else { return };
    let printed = target.to_string();
    assert!(PATHS.is_match(&printed), "{text:?} was read as {printed:?}");
    assert_eq!(Target::parse(&printed).as_ref(), Ok(&target));
    assert_eq!(Target::parse(&encoded(&printed)).as_ref(), Ok(&target));
}

fn check_parts(text: &str) {
    assert_eq!(text.parse::<Tag>().is_ok(), TAGS.is_match(text), "{text:?}");
    assert_eq!(text.parse::<Reference>().is_ok(), REFERENCES.is_match(text), "{text:?}");
    assert_eq!(text.parse::<SessionId>().is_ok(), SESSIONS.is_match(text), "{text:?}");

    assert_eq!(text.parse::<TeamName>().is_ok(), PARTS.is_match(text) && text.len() <= 64, "{text:?}");
    check_robot(text);

    let longest = if text.contains('/') { 200 } else { 200 - "library/".len() };
    let name = text.parse::<RepositoryName>();
    assert_eq!(name.is_ok(), NAMES.is_match(text) && text.len() <= longest, "{text:?}");
    if let Ok(name) = name {
        assert_eq!(
            name.to_string(),
            if text.contains('/') { text.into() } else { format!("library/{text}") }
        );
        assert_eq!(format!("{}/{}", name.namespace(), name.repository()), name.to_string());
        assert_eq!(name.to_string().parse().as_ref(), Ok(&name));
    }
}

fn check_robot(text: &str) {
    let short = text.split_once('+').is_some_and(|(team, label)| team.len() <= 200 && label.len() <= 64);
    let robot = text.parse::<RobotName>();
    assert_eq!(robot.is_ok(), ROBOTS.is_match(text) && short, "{text:?}");
    if let Ok(robot) = robot {
        assert_eq!(RobotName::new(&robot.namespace(), robot.label()).as_ref(), Ok(&robot));
        assert_eq!(robot.to_string(), text);
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02x}");
        encoded
    })
}

//! `bucket audit`: who did what, as lines for people or as JSON for programs.

use std::{io::Write, net::IpAddr, str::FromStr};

use clap::Args;
use jiff::Timestamp;
use oci::{CredentialId, EventId, Namespace};
use proto::{
    auth::Subject,
    metadata::{
        AuditLog as _, Via,
        audit::{self, ActionFilter, Entry, Filter, WantedEntries},
    },
};
use serde::Serialize;
use service_kit::clock;

use super::{Operator, OperatorError, Which};

/// Entries in one page.
const PAGE: usize = 1_000;

/// The arguments.
#[derive(Debug, Args)]
pub struct Audit {
    /// Only what was done to this user or organization and its repositories
    #[arg(long, value_name = "NAME")]
    namespace: Option<Namespace>,
    /// Only from then on: a time as 2030-01-31T12:00:00Z, or how long ago, as 7d
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only before then
    #[arg(long, value_name = "TIME")]
    before: Option<Moment>,
    /// Only this, as `member.put`, or all of a noun, as `member`
    #[arg(long)]
    action: Option<ActionFilter>,
    /// Only what this user or robot did
    #[arg(long, value_name = "NAME")]
    actor: Option<Subject>,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    last: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) which: Which,
}

/// A time, as people say it.
#[derive(Debug, Clone, Copy)]
struct Moment(Timestamp);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self(at));
        }
        let bad =
            || format!("{text:?} is neither a time such as 2030-01-31T12:00:00Z nor a duration such as 7d");
        let ago = service_kit::config::duration(text).map_err(|_| bad())?;
        clock::system().now().checked_sub(ago).map(Self).map_err(|_| bad())
    }
}

/// An entry as programs read it.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a EventId,
    time: Timestamp,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    via: Via,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a CredentialId>,
    target: &'a audit::Target,
}

impl Audit {
    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        let mut wanted = self.wanted();
        let mut left = self.last;
        while left > 0 {
            wanted.limit = left.min(PAGE);
            let found = operator.audit.audit_entries(&wanted).await?;
            for entry in &found.entries {
                if self.json { json(entry, out)? } else { line(entry, out)? }
            }
            left = left.saturating_sub(found.entries.len());
            wanted.after = found.next;
            if wanted.after.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn wanted(&self) -> WantedEntries {
        let time = |moment: Option<Moment>| moment.map(|Moment(at)| at);
        let filter = Filter {
            since: time(self.since),
            before: time(self.before),
            action: self.action.clone(),
            actor: self.actor.clone(),
        };
        WantedEntries { of: self.namespace.clone(), filter, after: None, limit: PAGE }
    }
}

fn json(entry: &Entry, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
    let line = Line {
        id: &entry.id,
        time: entry.at,
        action: entry.action.as_str(),
        actor: named(&entry.actor.subject),
        via: entry.actor.via,
        address: entry.actor.address,
        credential: entry.actor.credential.as_ref(),
        target: &entry.target,
    };
    serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

fn line(entry: &Entry, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
    let time = entry.at.strftime("%Y-%m-%d %H:%M:%S");
    let who = named(&entry.actor.subject).unwrap_or_else(|| "-".to_owned());
    let via = door(entry.actor.via);
    let from = entry.actor.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    let what = said(&entry.target);
    Ok(writeln!(out, "{time}  {who:<20} {via:<8} {from:<15} {:<21} {what}", entry.action)?)
}

fn named(subject: &Subject) -> Option<String> {
    (*subject != Subject::Anonymous).then(|| subject.to_string())
}

const fn door(via: Via) -> &'static str {
    match via {
        Via::Registry => "registry",
        Via::Ui => "ui",
        Via::Service => "service",
        Via::Api => "api",
        Via::Operator => "operator",
    }
}

/// The narrowest name of all, and what else there is to say.
fn said(target: &audit::Target) -> String {
    let audit::Target { namespace, repository, user, team, robot, credential, tag, digest, label, to } =
        target;
    let place = repository.as_ref().map(ToString::to_string);
    let place = place.or_else(|| namespace.as_ref().map(ToString::to_string));
    let parts = [
        place,
        user.as_ref().map(|user| format!("user={user}")),
        team.as_ref().map(|team| format!("team={team}")),
        robot.as_ref().map(|robot| format!("robot={robot}")),
        credential.as_ref().map(|id| format!("credential={id}")),
        tag.as_ref().map(|tag| format!("tag={tag}")),
        digest.as_ref().map(|digest| format!("digest={digest}")),
        label.as_ref().map(|label| format!("label={label:?}")),
        to.as_ref().map(|to| format!("to={to}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Entry, Moment, json, line};
    use proto::metadata::{
        Actor,
        audit::{Action, Target},
    };

    fn entry() -> Entry {
        let (namespace, user) = ("acme".parse().ok(), "bob".parse().ok());
        let (label, to) = (Some("two\nlines".to_owned()), Some("owner".to_owned()));
        Entry {
            id: "01JD0000000000000000000007".parse().unwrap(),
            at: "2030-01-31T12:00:00Z".parse().unwrap(),
            actor: Actor { address: "192.0.2.7".parse().ok(), ..Actor::operator() },
            action: Action::MemberPut.into(),
            target: Target { namespace, user, label, to, ..Target::default() },
        }
    }

    #[test]
    fn an_entry_is_one_line_for_people_and_one_for_programs() {
        let (mut for_people, mut for_programs) = (Vec::new(), Vec::new());
        line(&entry(), &mut for_people).unwrap();
        json(&entry(), &mut for_programs).unwrap();
        let [people, programs] = [for_people, for_programs].map(|text| String::from_utf8(text).unwrap());
        assert_eq!((people.lines().count(), programs.lines().count()), (1, 1));
        for part in
            ["2030-01-31 12:00:00", "operator", "192.0.2.7", "member.put", "acme user=bob", "to=owner"]
        {
            assert!(people.contains(part), "{people}");
        }
        let read: serde_json::Value = serde_json::from_str(&programs).unwrap();
        assert_eq!((&read["action"], &read["target"]["to"]), (&"member.put".into(), &"owner".into()));
        assert!(read.get("actor").is_none() && read["via"] == "operator");
    }

    #[test]
    fn a_time_is_said_as_such_or_as_how_long_ago_it_was() {
        let Moment(at) = "2030-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(at.to_string(), "2030-01-31T12:00:00Z");
        let (Moment(week), Moment(day)) = ("7d".parse().unwrap(), "1d".parse().unwrap());
        assert!(week < day);
        for bad in ["", "yesterday", "7", "-"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }
}

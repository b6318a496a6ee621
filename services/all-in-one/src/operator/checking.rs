//! `bucket metadata check`: whether what a hub keeps agrees with itself, and mending what a crash has left of it.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal as _, Write},
};

use clap::Args;
use proto::metadata::{
    Actor, Integrity as _,
    integrity::{Counts, Finding, Kind, Mending, Outcome},
};
use serde::Serialize;

use super::{Operator, OperatorError, Which};

/// What is mended may let something else be seen; after so many walks that is said, and not looked at again.
const WALKS: usize = 4;

/// Findings that are remembered, so that none is shown twice.
const REMEMBERED: usize = 100_000;

/// How it is looked at.
#[derive(Debug, Args)]
pub struct Check {
    /// Mends what a crash has left. What would need bytes or a guess is named and left alone
    #[arg(long)]
    repair: bool,
    /// One JSON object a line, the last of them with what was counted
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) which: Which,
}

/// What all walks have found.
#[derive(Default)]
struct Found {
    counts: Counts,
    mended: u64,
    /// Of the last walk, as everything below.
    left: u64,
    mendable: u64,
    shown: BTreeSet<(Kind, String)>,
    kinds: BTreeSet<Kind>,
}

/// The last line for programs.
#[derive(Serialize)]
struct Summary {
    checked: Counts,
    mended: u64,
    left: u64,
}

impl Check {
    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        let mut found = Found::default();
        for _ in 0..WALKS {
            let before = found.mended;
            self.walk(operator, &mut found, out).await?;
            if found.mended == before {
                break;
            }
        }

        if self.json {
            let summary = Summary { checked: found.counts, mended: found.mended, left: found.left };
            json(&summary, out)?;
        } else {
            conclude(&found, out)?;
        }
        match (found.left, found.mendable) {
            (0, _) => Ok(()),
            (left, mendable) => Err(OperatorError::Disagreement { left, mendable }),
        }
    }

    async fn walk(
        &self,
        operator: &Operator,
        found: &mut Found,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        let mending = if self.repair { Mending::Repair } else { Mending::Report };
        let (mut cursor, mut progress) = (None, Progress::new());
        (found.counts, found.left, found.mendable) = (Counts::default(), 0, 0);
        loop {
            let checked = operator.integrity.check(cursor.as_deref(), mending, &Actor::operator()).await?;
            found.counts.add(&checked.counts);
            progress.clear()?;
            for finding in checked.findings {
                self.show(&finding, found, out)?;
            }
            cursor = checked.next;
            if cursor.is_none() {
                return Ok(());
            }
            progress.say(&found.counts)?;
        }
    }

    fn show(
        &self,
        finding: &Finding,
        found: &mut Found,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        match finding.outcome {
            Outcome::Mended => found.mended += 1,
            Outcome::Mendable => {
                found.left += 1;
                found.mendable += 1;
            }
            Outcome::Unmendable => found.left += 1,
        }
        found.kinds.insert(finding.kind);
        if finding.outcome != Outcome::Mended {
            if found.shown.contains(&(finding.kind, finding.subject.clone())) {
                return Ok(());
            }
            if found.shown.len() < REMEMBERED {
                found.shown.insert((finding.kind, finding.subject.clone()));
            }
        }

        if self.json {
            return json(finding, out);
        }
        let Finding { kind, subject, outcome } = finding;
        Ok(writeln!(out, "{:<8} {kind:<26} {subject}", word(*outcome))?)
    }
}

/// What is said meanwhile to whoever waits at a terminal.
struct Progress {
    shown: bool,
    wanted: bool,
}

impl Progress {
    fn new() -> Self {
        Self { shown: false, wanted: io::stderr().is_terminal() }
    }

    fn say(&mut self, counts: &Counts) -> io::Result<()> {
        if !self.wanted {
            return Ok(());
        }
        self.shown = true;
        let mut terminal = io::stderr();
        write!(terminal, "\r{} …", said(counts))?;
        terminal.flush()
    }

    fn clear(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.shown) {
            return Ok(());
        }
        // Erases the line (ECMA-48, EL).
        write!(io::stderr(), "\r\u{1b}[K")
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Mended => "mended",
        Outcome::Mendable => "mendable",
        Outcome::Unmendable => "left",
    }
}

fn json(line: &impl Serialize, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
    serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

fn conclude(found: &Found, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
    if !found.kinds.is_empty() {
        writeln!(out)?;
    }
    for kind in &found.kinds {
        writeln!(out, "{kind:<26} {}", kind.meaning())?;
    }
    let checked = said(&found.counts);
    match (found.left, found.mended) {
        (0, 0) => writeln!(out, "nothing is wrong: {checked} checked")?,
        (0, mended) => {
            writeln!(out, "nothing is wrong any more: {} mended, {checked} checked", grouped(mended))?;
        }
        (left, mended) => {
            writeln!(out, "{} left, {} mended: {checked} checked", grouped(left), grouped(mended))?;
        }
    }
    Ok(())
}

fn said(counts: &Counts) -> String {
    let Counts { repositories, tags, manifests, blobs, users, organizations } = *counts;
    let parts = [
        (repositories, "repository", "repositories"),
        (tags, "tag", "tags"),
        (manifests, "manifest", "manifests"),
        (blobs, "blob", "blobs"),
        (users, "user", "users"),
        (organizations, "organization", "organizations"),
    ];
    let parts =
        parts.map(|(count, one, many)| format!("{} {}", grouped(count), if count == 1 { one } else { many }));
    parts.join(", ")
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use proto::metadata::integrity::{Counts, Kind};

    use super::{Found, conclude, grouped};

    fn concluded(found: &Found) -> String {
        let mut out = Vec::new();
        conclude(found, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_in_groups_of_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1_203, "1,203"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn what_was_checked_is_said_with_what_was_found_and_what_that_means() {
        let counts = Counts { repositories: 1, manifests: 340, blobs: 1_203, ..Counts::default() };
        let mut found = Found { counts, ..Found::default() };
        let nothing = "nothing is wrong: 1 repository, 0 tags, 340 manifests, 1,203 blobs, 0 users, 0 organizations checked\n";
        assert_eq!(concluded(&found), nothing);

        found.left = 2;
        found.kinds.insert(Kind::BlobWithoutBytes);
        let said = concluded(&found);
        assert!(said.contains("the next push of it heals it") && said.contains("2 left, 0 mended"), "{said}");
    }
}

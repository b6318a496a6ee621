//! What was measured, and the table that it makes: medians, and their ratios to a peer.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::servers::Kind;

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

impl Row {
    pub(crate) fn higher(what: impl Into<String>, unit: &'static str) -> Self {
        Self { what: what.into(), unit, better: Better::Higher }
    }

    pub(crate) fn lower(what: impl Into<String>, unit: &'static str) -> Self {
        Self { what: what.into(), unit, better: Better::Lower }
    }
}

/// Who was measured: a server, or the yardstick `copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Copy,
    Server(Kind),
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Copy => "bench/copy",
            Self::Server(kind) => kind.name(),
        }
    }
}

/// All measurements of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rows: Vec<(Row, BTreeMap<Who, Vec<f64>>)>,
}

impl Ledger {
    pub(crate) fn add(&mut self, row: &Row, who: Who, value: f64) {
        let at = self.rows.iter().position(|(known, _)| known == row).unwrap_or_else(|| {
            self.rows.push((row.clone(), BTreeMap::new()));
            self.rows.len() - 1
        });
        eprintln!("  {:<44} {:<20} {value:>10.2} {}", row.what, who.name(), row.unit);
        self.rows[at].1.entry(who).or_default().push(value);
    }

    /// The table in Markdown. A ratio above 1 is in Bucket's favour, whichever way the numbers go.
    pub(crate) fn table(&self) -> String {
        let shown = [
            Who::Copy,
            Who::Server(Kind::Nginx),
            Who::Server(Kind::NginxWithoutSendfile),
            Who::Server(Kind::Distribution),
            Who::Server(Kind::Bucket),
            Who::Server(Kind::Services),
        ];
        let mut table = "| | unit |".to_owned();
        for who in shown {
            let _ = write!(table, " {} |", who.name());
        }
        table += " Bucket : nginx | Bucket : distribution | 5 services : distribution |\n|---|---|";
        table += &"--:|".repeat(shown.len() + 3);
        table.push('\n');

        for (row, measured) in &self.rows {
            let _ = write!(table, "| {} | {} |", row.what, row.unit);
            for who in shown {
                let _ = write!(table, " {} |", median(measured.get(&who)).map_or_else(String::new, number));
            }
            let ratio = |ours: Kind, peer: Kind| {
                let of = |kind| median(measured.get(&Who::Server(kind)));
                of(ours).zip(of(peer)).map(|(ours, peer)| match row.better {
                    Better::Higher => ours / peer,
                    Better::Lower => peer / ours,
                })
            };
            for (ours, peer) in [
                (Kind::Bucket, Kind::Nginx),
                (Kind::Bucket, Kind::Distribution),
                (Kind::Services, Kind::Distribution),
            ] {
                let _ = write!(table, " {} |", ratio(ours, peer).map_or_else(String::new, number));
            }
            table.push('\n');
        }
        table
    }
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn median(values: Option<&Vec<f64>>) -> Option<f64> {
    let mut sorted = values?.clone();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

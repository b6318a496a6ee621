//! How a commit is split: what lies together goes together, and what does not goes in runs, in the order written. It
//! reads and writes nothing.

use std::collections::BTreeMap;

use bytes::{Buf as _, BufMut as _, Bytes};

use crate::{
    keys::spread::{Group, spread},
    keyspace::{
        Commit, Condition, Mutation,
        encoding::{parse, write},
    },
};

/// How a commit has a group while it is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nobody else writes there.
    Alone,
    /// Others may add to it, too: none of them minds the order.
    Shared,
}

impl Mode {
    pub(super) fn letter(self) -> char {
        match self {
            Self::Alone => 'a',
            Self::Shared => 's',
        }
    }

    pub(super) fn of_letter(letter: &str) -> Option<Self> {
        match letter {
            "a" => Some(Self::Alone),
            "s" => Some(Self::Shared),
            _ => None,
        }
    }
}

/// A commit, as it is written.
#[derive(Debug)]
pub(super) enum Plan {
    /// It asks and changes nothing.
    Nothing,
    /// All of it lies in one group.
    Together(Group, Mode, Commit),
    /// It lies in several.
    Apart(Apart),
}

/// A commit that lies in several groups.
#[derive(Debug)]
pub(super) struct Apart {
    /// What must hold in each group that is held, and which condition of the commit that is.
    pub(super) conditions: Vec<Vec<(usize, Condition)>>,
    /// What is done then.
    pub(super) work: Work,
}

/// What a commit does once it is decided.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Work {
    /// All its groups, in the one order in which everybody takes them; it begins in the first.
    pub(super) held: Vec<(Group, Mode)>,
    /// What it changes, in the order written.
    pub(super) runs: Vec<Run>,
}

/// Changes that follow one another in one group.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Where its group is among those that are held.
    pub(super) group: usize,
    pub(super) mutations: Vec<Mutation>,
}

impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |run: &Self| {
            let mut bytes = Vec::new();
            run.mutations.iter().for_each(|mutation| write(&mut bytes, mutation));
            bytes
        };
        self.group == other.group && bytes(self) == bytes(other)
    }
}

impl Eq for Run {}

impl Plan {
    /// Of a commit whose keys are not spelled yet.
    pub(super) fn of(commit: Commit) -> Self {
        let conditions: Vec<(Group, Condition)> = commit
            .conditions
            .into_iter()
            .map(|condition| {
                let (group, key) = spread(condition.key());
                (group, condition.of(key))
            })
            .collect();
        let mutations: Vec<(Group, Mutation)> = commit
            .mutations
            .into_iter()
            .map(|mutation| {
                let (group, key) = spread(mutation.key());
                (group, mutation.of(key))
            })
            .collect();

        let modes = modes(&conditions, &mutations);
        let mut groups = modes.iter();
        match (groups.next(), groups.next()) {
            (None, _) => Self::Nothing,
            (Some((group, mode)), None) => Self::Together(
                group.clone(),
                *mode,
                Commit {
                    conditions: conditions.into_iter().map(|(_, condition)| condition).collect(),
                    mutations: mutations.into_iter().map(|(_, mutation)| mutation).collect(),
                    durability: commit.durability,
                },
            ),
            _ => Self::Apart(Apart::of(conditions, mutations, modes)),
        }
    }
}

/// How a commit has each of its groups. Additions, and what takes them back, bear others beside them.
fn modes(conditions: &[(Group, Condition)], mutations: &[(Group, Mutation)]) -> BTreeMap<Group, Mode> {
    let mut modes = BTreeMap::new();
    for (group, mutation) in mutations {
        let mode = modes.entry(group.clone()).or_insert(Mode::Shared);
        match mutation {
            Mutation::Increment(..) | Mutation::AddMember(..) | Mutation::RemoveMember(..) => {}
            _ => *mode = Mode::Alone,
        }
    }
    modes.extend(conditions.iter().map(|(group, _)| (group.clone(), Mode::Alone)));
    modes
}

impl Apart {
    fn of(
        conditions: Vec<(Group, Condition)>,
        mutations: Vec<(Group, Mutation)>,
        modes: BTreeMap<Group, Mode>,
    ) -> Self {
        let places: BTreeMap<Group, usize> = modes.keys().cloned().zip(0..).collect();
        let mut asked = vec![Vec::new(); modes.len()];
        for (index, (group, condition)) in conditions.into_iter().enumerate() {
            asked[places[&group]].push((index, condition));
        }

        let mut runs: Vec<Run> = Vec::new();
        for (group, mutation) in mutations {
            let group = places[&group];
            match runs.last_mut() {
                Some(run) if run.group == group => run.mutations.push(mutation),
                _ => runs.push(Run { group, mutations: vec![mutation] }),
            }
        }
        Self { conditions: asked, work: Work { held: modes.into_iter().collect(), runs } }
    }
}

impl Work {
    /// As anybody can go on with it.
    pub(super) fn encode(&self) -> Bytes {
        let mut to = Vec::new();
        put_length(&mut to, self.held.len());
        for (group, mode) in &self.held {
            put_part(&mut to, format!("{}{}", mode.letter(), group.as_str()).as_bytes());
        }
        for run in &self.runs {
            let mut mutations = Vec::new();
            run.mutations.iter().for_each(|mutation| write(&mut mutations, mutation));
            put_length(&mut to, run.group);
            put_part(&mut to, &mutations);
        }
        to.into()
    }

    /// None if it is nothing that `encode` has made.
    pub(super) fn decode(mut from: Bytes) -> Option<Self> {
        let (mut held, mut runs) = (Vec::new(), Vec::new());
        for _ in 0..from.try_get_u32().ok()? {
            let part = taken_part(&mut from)?;
            let (letter, group) = std::str::from_utf8(&part).ok()?.split_at_checked(1)?;
            held.push((Group::named(group), Mode::of_letter(letter)?));
        }
        while from.has_remaining() {
            let group = from.try_get_u32().ok()? as usize;
            let mutations = parse(taken_part(&mut from)?)?;
            runs.push(Run { group: (group < held.len()).then_some(group)?, mutations });
        }
        (!held.is_empty()).then_some(Self { held, runs })
    }
}

fn put_length(to: &mut Vec<u8>, length: usize) {
    // What is longer fits in no value of an engine, which says so.
    to.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

fn put_part(to: &mut Vec<u8>, part: &[u8]) {
    put_length(to, part.len());
    to.put_slice(part);
}

fn taken_part(from: &mut Bytes) -> Option<Bytes> {
    let length = from.try_get_u32().ok()? as usize;
    (length <= from.len()).then(|| from.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{Field, Key};

    fn add(key: &'static str) -> Mutation {
        Mutation::AddMember(Key::from_static(key), "m".into())
    }

    fn set(key: &'static str) -> Mutation {
        Mutation::SetField(Key::from_static(key), Field::new("f"), "v".into())
    }

    fn apart(commit: Commit) -> Apart {
        match Plan::of(commit) {
            Plan::Apart(apart) => apart,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_lies_together_stays_one_commit() {
        let commit =
            Commit::relaxed().when(Condition::RecordAbsent(Key::from_static("$1"))).then(add("$1:tags"));
        let Plan::Together(group, mode, commit) = Plan::of(commit) else { panic!("one group") };
        assert_eq!((group.as_str(), mode), ("$1", Mode::Alone));
        assert_eq!(commit.mutations[0].key().to_string(), "{$1}:tags");
        assert!(matches!(Plan::of(Commit::synced()), Plan::Nothing));
    }

    #[test]
    fn the_rest_goes_in_runs_and_conditions_go_with_their_groups() {
        let commit = Commit::synced()
            .when(Condition::RecordAbsent(Key::from_static("@ann")))
            .when(Condition::RecordAbsent(Key::from_static("$1")))
            .then_all([add("^dirty"), set("$1"), set("$1:tag"), add("@ann:audit"), set("$1:tag")]);
        let Apart { conditions, work } = apart(commit);

        let held: Vec<_> = work.held.iter().map(|(group, mode)| (group.as_str(), *mode)).collect();
        assert_eq!(held, [("$1", Mode::Alone), ("@ann", Mode::Alone), ("^dirty", Mode::Shared)]);
        let asked: Vec<Vec<usize>> =
            conditions.iter().map(|asked| asked.iter().map(|(index, _)| *index).collect()).collect();
        assert_eq!(asked, [vec![1], vec![0], vec![]]);
        let runs: Vec<_> = work.runs.iter().map(|run| (run.group, run.mutations.len())).collect();
        assert_eq!(runs, [(2, 1), (0, 2), (1, 1), (0, 1)]);
    }

    #[test]
    fn work_is_read_as_it_was_written_and_nothing_else_is() {
        let apart = apart(Commit::synced().then_all([add("^dirty"), set("$1"), add("^dirty")]));
        let written = apart.work.encode();

        assert_eq!(Work::decode(written.clone()), Some(apart.work));
        for length in [0, 3, written.len() - 1] {
            assert_eq!(Work::decode(written.slice(..length)), None, "{length} bytes");
        }
    }
}

//! What processes have used, with all their children, as the kernel counts it, and what they left for later.

use std::{collections::BTreeMap, fs, io, time::Duration};

/// User and system time that the processes `roots` and their children have had so far.
pub(crate) fn cpu(roots: &[u32]) -> io::Result<Duration> {
    // Fields 14 and 15, in hundredths of a second on every Linux.
    let ticks = |stat: &Stat| stat.field(14) + stat.field(15);
    Ok(Duration::from_millis(family(roots)?.values().map(ticks).sum::<u64>() * 10))
}

/// Bytes of memory that they hold now, pages of files that they have mapped included.
pub(crate) fn resident(roots: &[u32]) -> io::Result<u64> {
    summed(roots, "VmRSS:")
}

/// The most that they have held since `forget_peak`, each for itself.
pub(crate) fn peak(roots: &[u32]) -> io::Result<u64> {
    summed(roots, "VmHWM:")
}

/// From now on the peak is counted anew.
pub(crate) fn forget_peak(roots: &[u32]) -> io::Result<()> {
    family(roots)?.keys().try_for_each(|id| fs::write(format!("/proc/{id}/clear_refs"), "5"))
}

/// Waits until the disk has all that was written before. Who acknowledges a push before the disk has it leaves the
/// writing to whoever comes next, who would be measured with it.
pub(crate) fn settle() {
    rustix::fs::sync();
}

fn summed(roots: &[u32], name: &str) -> io::Result<u64> {
    let mut sum = 0;
    for id in family(roots)?.keys() {
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        sum += line.trim().trim_end_matches(" kB").parse::<u64>().map_err(io::Error::other)? << 10;
    }
    Ok(sum)
}

/// One line of `/proc/<id>/stat`, behind the name: that may hold spaces.
struct Stat(Vec<u64>);

impl Stat {
    fn read(id: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let fields = text.rsplit(')').next()?.split_whitespace();
        Some(Self(fields.map(|field| field.parse().unwrap_or_default()).collect()))
    }

    /// As proc(5) numbers them.
    fn field(&self, number: usize) -> u64 {
        self.0.get(number - 3).copied().unwrap_or_default()
    }
}

fn family(roots: &[u32]) -> io::Result<BTreeMap<u32, Stat>> {
    let mut all: BTreeMap<u32, Stat> = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let id = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        all.extend(id.and_then(|id| Some((id, Stat::read(id)?))));
    }

    let mut family: Vec<u32> = roots.to_vec();
    let mut next = 0;
    while next < family.len() {
        let parent = u64::from(family[next]);
        family.extend(all.iter().filter(|(_, stat)| stat.field(4) == parent).map(|(id, _)| *id));
        next += 1;
    }
    all.retain(|id, _| family.contains(id));
    Ok(all)
}

//! A share of one core for a process, by a control group (cgroup v2), where this machine lets one make them.

use std::{fs, io, path::PathBuf};

const GROUPS: &str = "/sys/fs/cgroup";

/// In microseconds: what a share is a share of.
const PERIOD: u32 = 100_000;

/// A process held to a share. Dropped after the process has ended, it leaves nothing.
pub(crate) struct Throttle {
    group: PathBuf,
}

impl Throttle {
    /// Holds the process `id` to so many hundredths of a core.
    pub(crate) fn hold(id: u32, percent: u32) -> io::Result<Self> {
        let group = PathBuf::from(GROUPS).join(format!("bucket-bench-{id}"));
        fs::create_dir(&group)?;
        let throttle = Self { group };
        fs::write(throttle.group.join("cpu.max"), format!("{} {PERIOD}", PERIOD / 100 * percent))?;
        fs::write(throttle.group.join("cgroup.procs"), id.to_string())?;
        Ok(throttle)
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.group);
    }
}

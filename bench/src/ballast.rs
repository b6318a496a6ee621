//! Memory that is held, so that all servers write into pages that the machine has used before. A virtual machine may have
//! to ask its host for pages that were free for long, at some seconds for a gibibyte, and who comes first would pay.

use std::{fs, hint::black_box, io};

/// What stays free for the servers and their files (bytes).
const SPARED: usize = 2 << 30;
const PAGE: usize = 4096;

/// The held memory.
pub(crate) struct Ballast(#[expect(dead_code, reason = "it is held")] Vec<u8>);

impl Ballast {
    /// Takes most of the memory that is free.
    pub(crate) fn take() -> io::Result<Self> {
        let size = free_bytes()?.saturating_sub(SPARED);
        let mut held = vec![0_u8; size];
        held.iter_mut().step_by(PAGE).for_each(|byte| *byte = black_box(1));
        Ok(Self(held))
    }
}

fn free_bytes() -> io::Result<usize> {
    let memory = fs::read_to_string("/proc/meminfo")?;
    let line = memory.lines().find_map(|line| line.strip_prefix("MemFree:"));
    let kibibytes: Option<usize> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(kibibytes.ok_or_else(|| io::Error::other("no MemFree in /proc/meminfo"))? << 10)
}

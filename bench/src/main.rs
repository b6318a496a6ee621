//! Measures Bucket beside its peers, and what this machine can do at all.

mod ballast;
mod compare;
mod content;
mod copy;
mod engines;
mod handoff;
mod http;
mod ledger;
mod load;
mod logins;
mod registry;
mod replicas;
mod scenarios;
mod servers;
mod throttle;
mod usage;

use std::{io, path::PathBuf};

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    yardstick: Yardstick,
}

#[derive(Debug, Subcommand)]
enum Yardstick {
    /// Runs nginx, CNCF distribution and Bucket in alternation, and prints medians and ratios.
    Compare(compare::Options),
    /// The least that storing a pushed blob can cost: socket, sha256, file, fdatasync, rename.
    Copy {
        /// Bytes to copy, such as 512MiB or 1GiB.
        #[arg(long, default_value = "1GiB", value_parser = bytes)]
        size: u64,
        /// Where the file is written: measure the disk that will hold the blobs.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// Measures the engines that metadata may be kept in, Redis beside `redis-benchmark` (both are Debian's).
    Engines {
        /// Where they keep their data meanwhile: measure the disk that will hold it.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// Tags that are loaded first.
        #[arg(long, default_value = "1000000", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        tags: u32,
    },
    /// Measures what logging in costs and gives away, of `bucket serve` as it is shipped.
    Logins {
        /// Where it keeps its data meanwhile.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// Pulls a large blob from nginx to which Bucket hands it off, and from nginx alone, in turn.
    Handoff {
        /// Bytes of the blob.
        #[arg(long, default_value = "1GiB", value_parser = bytes)]
        size: u64,
        /// How often.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// Where both keep their data meanwhile.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// Measures what a second replica of the blob service is good for, each held to 15 % of a core.
    Replicas {
        /// Where they keep their data meanwhile.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// The sending half of `copy`, a process of its own so that its CPU time is not counted.
    #[command(hide = true)]
    Send { size: u64 },
}

fn main() -> io::Result<()> {
    match Arguments::parse().yardstick {
        Yardstick::Compare(options) => options.run()?,
        Yardstick::Copy { size, dir } => {
            let file = dir.join(format!("bench-copy-{}", std::process::id()));
            let measured = copy::measure(size, &file);
            let _ = std::fs::remove_file(&file);
            report(size, &measured?);
        }
        Yardstick::Engines { dir, tags } => {
            engines::measure(&std::path::absolute(dir)?, usize::try_from(tags).unwrap_or(usize::MAX))?;
        }
        Yardstick::Logins { dir } => logins::measure(&std::path::absolute(dir)?)?,
        Yardstick::Handoff { size, rounds, dir } => {
            handoff::measure(size, rounds, &std::path::absolute(dir)?)?;
        }
        Yardstick::Replicas { dir } => replicas::measure(&std::path::absolute(dir)?)?,
        Yardstick::Send { size } => copy::send(size)?,
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a printed rate needs no 53rd bit")]
fn report(size_bytes: u64, took: &copy::Measured) {
    let seconds = took.elapsed.as_secs_f64();
    let gib = size_bytes as f64 / f64::from(1 << 30);
    let rate = size_bytes as f64 / 1e6 / seconds;
    let cpu = took.cpu.as_secs_f64() / gib;
    println!("copy: {size_bytes} bytes in {seconds:.2} s, sha256:{}", took.digest);
    println!("{rate:.0} MB/s, {cpu:.2} CPU seconds per GiB");
}

fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let shift = match &text[digits.len()..] {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        other => return Err(format!("unknown unit {other}: use KiB, MiB or GiB")),
    };
    let count: u64 = digits.parse().map_err(|_| format!("not a number of bytes: {text}"))?;
    count.checked_mul(1 << shift).ok_or_else(|| format!("too large: {text}"))
}

//! What a pull of a large blob costs if nginx sends what Bucket hands off to it, beside nginx alone: the same bytes from
//! the same disk, one after the other, round after round.

use std::{fs, io, path::Path, time::Instant};

use crate::{
    http::{Client, Request},
    scenarios::{REPOSITORY, Stock, gibibytes},
    servers::{Kind, Server},
    usage,
};

/// What pulling a gibibyte took.
#[derive(Debug, Default)]
struct Took {
    seconds: Vec<f64>,
    nginx_cpu: Vec<f64>,
    hub_cpu: Vec<f64>,
}

/// Measures, and prints medians.
pub(crate) fn measure(size_bytes: u64, rounds: usize, under: &Path) -> io::Result<()> {
    let directory = under.join(format!("bench-handoff-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let measured = measured(size_bytes, rounds, &directory);
    let removed = fs::remove_dir_all(&directory);
    let (alone, behind) = measured?;
    removed?;

    println!(
        "medians of {rounds} pulls of {:.2} GiB     time      CPU of nginx   CPU of the hub",
        gibibytes(size_bytes)
    );
    println!("nginx alone            {}", line(&alone));
    println!("nginx + handoff        {}", line(&behind));
    println!("nginx alone : handoff  {:.3}", median(&alone.seconds) / median(&behind.seconds));
    Ok(())
}

fn measured(size_bytes: u64, rounds: usize, directory: &Path) -> io::Result<(Took, Took)> {
    let alone = Server::start(Kind::Nginx, directory)?;
    let hub = Server::start(Kind::Bucket, directory)?;
    let front = Server::start_in_front_of(&hub, directory)?;
    let stock = Stock::new(size_bytes);
    stock.put_into(&alone)?;
    stock.put_into(&hub)?;
    require_handoff(&hub, &stock)?;

    let (mut files, mut handed_off) = (Took::default(), Took::default());
    // The first round brings both files into memory, and does not count.
    for round in 0..=rounds {
        let (before, after) = (pull(&alone, &hub, &stock)?, pull(&front, &hub, &stock)?);
        if round > 0 {
            files.add(before);
            handed_off.add(after);
        }
    }
    Ok((files, handed_off))
}

/// A hub that streams would be measured as something else.
fn require_handoff(hub: &Server, stock: &Stock) -> io::Result<()> {
    let path = path(stock);
    let headers = format!("{}X-Bucket-Handoff: file\r\n", hub.authorization(REPOSITORY)?);
    match Client::connect(hub.address)?.download(&Request::new("GET", &path, &headers))? {
        0 => Ok(()),
        sent => Err(io::Error::other(format!("the hub hands nothing off: it sent {sent} bytes"))),
    }
}

/// Seconds for a gibibyte: of time, of nginx, of the hub.
fn pull(server: &Server, hub: &Server, stock: &Stock) -> io::Result<[f64; 3]> {
    let (path, headers) = (path(stock), server.authorization(REPOSITORY)?);
    let mut client = Client::connect(server.address)?;
    let of = |server: &Server| usage::cpu(&server.ids());

    let (nginx_before, hub_before, began) = (of(server)?, of(hub)?, Instant::now());
    let got = client.download(&Request::new("GET", &path, &headers))?;
    let seconds = began.elapsed().as_secs_f64();
    let nginx = of(server)?.saturating_sub(nginx_before).as_secs_f64();
    let of_hub = of(hub)?.saturating_sub(hub_before).as_secs_f64();

    if got != stock.large.size_bytes() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let size = gibibytes(got);
    Ok([seconds / size, nginx / size, of_hub / size])
}

fn path(stock: &Stock) -> String {
    format!("/v2/{REPOSITORY}/blobs/{}", stock.large.digest())
}

impl Took {
    fn add(&mut self, [seconds, nginx, hub]: [f64; 3]) {
        self.seconds.push(seconds);
        self.nginx_cpu.push(nginx);
        self.hub_cpu.push(hub);
    }
}

fn line(took: &Took) -> String {
    let [seconds, nginx, hub] = [&took.seconds, &took.nginx_cpu, &took.hub_cpu].map(|values| median(values));
    format!("{seconds:10.3} s/GiB {nginx:8.3} s/GiB {hub:12.3} s/GiB")
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

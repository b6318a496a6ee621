//! Many requests at a time: wrk where it can, sixteen threads of our own for HEAD, which wrk hangs on.

use std::{
    io,
    net::SocketAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    http::{Client, Request},
    registry::MANIFEST,
    servers::Server,
    usage,
};

const CONNECTIONS: usize = 16;
const LASTS: Duration = Duration::from_secs(5);

/// What a load of requests came to.
#[derive(Debug)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    /// Of the server, for one request.
    pub(crate) cpu_micros: f64,
    /// Half of the requests were answered within.
    pub(crate) median_millis: f64,
}

/// GET of one path over 16 connections for five seconds.
pub(crate) fn get(server: &Server, path: &str, authorization: &str) -> io::Result<Rate> {
    let before = usage::cpu(&server.ids())?;
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c", &CONNECTIONS.to_string(), "-d", &LASTS.as_secs().to_string(), "--latency"]);
    let header = authorization.trim_end();
    if !header.is_empty() {
        command.args(["-H", header]);
    }
    // Without it distribution says that an OCI manifest is unknown.
    command.args(["-H", &format!("Accept: {MANIFEST}")]);
    let output = command.arg(format!("http://{}{path}", server.address)).output()?;
    let cpu = usage::cpu(&server.ids())?.saturating_sub(before);

    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = text.contains("Non-2xx") || text.contains("Socket errors") || !output.status.success();
    parse(&text, cpu).filter(|_| !wrong).ok_or_else(|| io::Error::other(format!("wrk of {path}: {text}")))
}

fn parse(text: &str, cpu: Duration) -> Option<Rate> {
    let value = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    let requests: f64 =
        text.lines().find_map(|line| line.trim().split_once(" requests in "))?.0.parse().ok()?;
    Some(Rate {
        per_second: value("Requests/sec:")?.parse().ok()?,
        cpu_micros: cpu.as_secs_f64() * 1e6 / requests,
        median_millis: millis(value("50%")?)?,
    })
}

fn millis(text: &str) -> Option<f64> {
    let number = |unit: &str| text.strip_suffix(unit).and_then(|number| number.parse::<f64>().ok());
    let micros = number("us").map(|micros| micros / 1e3);
    micros.or_else(|| number("ms")).or_else(|| number("s").map(|seconds| seconds * 1e3))
}

/// HEAD of one path over 16 connections for five seconds.
pub(crate) fn head(server: &Server, path: &str, authorization: &str) -> io::Result<Rate> {
    let before = usage::cpu(&server.ids())?;
    let began = Instant::now();
    let address = server.address;
    let answered = thread::scope(|scope| {
        let heads = move || heads(address, path, authorization, began + LASTS);
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(heads)).collect();
        threads.into_iter().map(joined).collect::<io::Result<Vec<_>>>()
    })?;
    let (elapsed, cpu) = (began.elapsed(), usage::cpu(&server.ids())?.saturating_sub(before));

    let mut took: Vec<Duration> = answered.into_iter().flatten().collect();
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    let requests = f64::from(u32::try_from(took.len()).map_err(io::Error::other)?);
    Ok(Rate {
        per_second: requests / elapsed.as_secs_f64(),
        cpu_micros: cpu.as_secs_f64() * 1e6 / requests,
        median_millis: median.as_secs_f64() * 1e3,
    })
}

fn heads(address: SocketAddr, path: &str, headers: &str, until: Instant) -> io::Result<Vec<Duration>> {
    let mut client = Client::connect(address)?;
    let headers = format!("{headers}Accept: {MANIFEST}\r\n");
    let request = Request::new("HEAD", path, &headers);
    let mut took = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        client.expect(200, &request)?;
        took.push(began.elapsed());
    }
    Ok(took)
}

/// What a thread came to.
pub(crate) fn joined<T>(thread: thread::ScopedJoinHandle<'_, io::Result<T>>) -> io::Result<T> {
    thread.join().map_err(|_| io::Error::other("a thread of the client has panicked"))?
}

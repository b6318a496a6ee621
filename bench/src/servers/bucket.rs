//! Bucket in one process and as five services, as shipped. Only passwords are checked faster, unless logging in is what
//! is measured.

use std::{fs, io, net::SocketAddr, process::Command};

use super::{PASSWORD, PasswordCost, Replica, Server, built, free_address};

const PASSWORDS: &str = "memory_kib = 64\niterations = 1\n";
const TOKEN: &str = "service_token = \"service token of a benchmark\"\n";
const AT_ONCE: &str = "drain_delay = \"0s\"\n";
const GRANTS: &str = "grant_secret = \"grant secret of a benchmark\"\n";
const KEYS: &str = "key_secret = \"key secret of a benchmark\"\n";

/// Clients of one address may do as much as they can.
const HTTP: &str = "[http]\nmax_in_flight_per_address = 1024\n";
const ANY_ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

pub(super) fn start_one(server: &mut Server, cost: PasswordCost) -> io::Result<()> {
    let (directory, address) = (server.directory.clone(), server.address);
    let configuration = directory.join("bucket.toml");
    let passwords = match cost {
        PasswordCost::AsShipped => String::new(),
        PasswordCost::Little => format!("[password]\n{PASSWORDS}"),
    };
    fs::write(&configuration, format!("{ANY_ADMIN}{HTTP}{passwords}"))?;

    let mut command = Command::new(built("bucket")?);
    command.arg("serve").arg("--data").arg(directory.join("data"));
    command.args(["--listen", &address.to_string()]).arg("--config").arg(configuration);
    command.env("BUCKET_ADMIN_PASSWORD", PASSWORD).env("BUCKET_TELEMETRY__LOG_LEVEL", "warn");
    server.run(command, address)
}

pub(super) fn start_five(server: &mut Server) -> io::Result<()> {
    let data = server.directory.join("data").display().to_string();
    let [metadata, auth, blob, web] = [free_address()?, free_address()?, free_address()?, free_address()?];
    let calls = |name: &str, at: SocketAddr| format!("[{name}]\nurls = [\"http://{at}\"]\n{TOKEN}");
    let port_at = |at: SocketAddr| format!("[grpc]\nlisten = \"{at}\"\n{AT_ONCE}{TOKEN}");
    let (to_metadata, to_auth, to_blob) =
        (calls("metadata", metadata), calls("auth", auth), calls("blob", blob));

    let own = format!("{}[metadata]\ndirectory = \"{data}/metadata\"\n{GRANTS}", port_at(metadata));
    run(server, "metadata", metadata, &own)?;
    let own = format!("{}{to_metadata}[auth]\n{KEYS}[auth.password]\n{PASSWORDS}", port_at(auth));
    run(server, "auth", auth, &own)?;
    let own = format!("{}{to_metadata}[blob]\ndirectory = \"{data}/blobs\"\n{GRANTS}", port_at(blob));
    run(server, "blob", blob, &own)?;
    let own = format!("listen = \"{web}\"\n{AT_ONCE}{to_auth}{to_metadata}");
    run(server, "ui", web, &own)?;
    let edge = server.address;
    let own = format!("listen = \"{edge}\"\n{AT_ONCE}{HTTP}{to_auth}{to_metadata}{to_blob}");
    run(server, "registry-api", edge, &own)
}

/// The services without the UI, with `count` replicas of the blob service.
pub(super) fn start_replicas(server: &mut Server, count: usize) -> io::Result<Vec<Replica>> {
    let data = server.directory.join("data").display().to_string();
    let [metadata, auth] = [free_address()?, free_address()?];
    let calls = |name: &str, urls: &str| format!("[{name}]\nurls = [{urls}]\n{TOKEN}");
    let url = |at: SocketAddr| format!("\"http://{at}\"");
    let port_at = |at: SocketAddr| format!("[grpc]\nlisten = \"{at}\"\n{AT_ONCE}{TOKEN}");
    let (to_metadata, to_auth) = (calls("metadata", &url(metadata)), calls("auth", &url(auth)));

    let own = format!("{}[metadata]\ndirectory = \"{data}/metadata\"\n{GRANTS}", port_at(metadata));
    run(server, "metadata", metadata, &own)?;
    let own = format!("{}{to_metadata}[auth]\n{KEYS}[auth.password]\n{PASSWORDS}", port_at(auth));
    run(server, "auth", auth, &own)?;

    let (mut replicas, mut urls) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (blob, metrics) = (free_address()?, free_address()?);
        let own = format!("{}{to_metadata}[blob]\ndirectory = \"{data}/blobs\"\n{GRANTS}", port_at(blob));
        run_at(server, "blob", blob, &format!("{own}[admin]\nlisten = \"{metrics}\"\n"))?;
        replicas.extend(server.processes.last().map(|process| Replica { id: process.id(), metrics }));
        urls.push(url(blob));
    }

    let (edge, to_blob) = (server.address, calls("blob", &urls.join(", ")));
    let own = format!("listen = \"{edge}\"\n{AT_ONCE}{HTTP}{to_auth}{to_metadata}{to_blob}");
    run(server, "registry-api", edge, &own)?;
    Ok(replicas)
}

fn run(server: &mut Server, name: &str, address: SocketAddr, configuration: &str) -> io::Result<()> {
    run_at(server, name, address, &format!("{configuration}{ANY_ADMIN}"))
}

fn run_at(server: &mut Server, name: &str, address: SocketAddr, configuration: &str) -> io::Result<()> {
    let file = server.directory.join(format!("{name}-{}.toml", address.port()));
    fs::write(&file, configuration)?;

    let mut command = Command::new(built(name)?);
    command.arg("--config").arg(file);
    command.env("BUCKET_ADMIN_PASSWORD", PASSWORD).env("BUCKET_TELEMETRY__LOG_LEVEL", "warn");
    server.run(command, address)
}

//! What a person sees who starts a hub by hand: where it is, and once, how to get in.

use std::{fmt, net::SocketAddr, path::Path};

use oci::AccountName;
use secrecy::{ExposeSecret as _, SecretString};

/// Where a running hub is.
#[derive(Debug)]
pub struct Banner<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What clients call it, if that is configured.
    pub external_url: Option<String>,
    /// Where its probes and metrics are.
    pub admin: Option<SocketAddr>,
    /// Where its data is.
    pub data: &'a Path,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = format!("http://{}", reachable(self.listen));
        let url = self.external_url.as_deref().unwrap_or(&local).trim_end_matches('/');
        let registry = url.split_once("://").map_or(url, |(_, registry)| registry);

        writeln!(f, "Bucket is running.")?;
        writeln!(f, "  registry   {registry}      docker login {registry}")?;
        writeln!(f, "  web UI     {url}/")?;
        if let Some(admin) = self.admin {
            writeln!(f, "  probes     http://{admin}/readyz and /metrics")?;
        }
        write!(f, "  data       {}", self.data.display())
    }
}

/// A way in, shown once.
#[derive(Debug)]
pub struct FirstLogin<'a> {
    /// The name.
    pub name: &'a AccountName,
    /// The password.
    pub password: &'a SecretString,
}

impl fmt::Display for FirstLogin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "First start: an administrator was made for you. This is shown only once.")?;
        writeln!(f, "  user       {}", self.name)?;
        write!(f, "  password   {}", self.password.expose_secret())
    }
}

// Nobody can connect to "any address": this machine's own is the one to try.
fn reachable(listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], listen.port())) } else { listen }
}

#[cfg(test)]
mod tests {
    use super::Banner;
    use std::path::Path;

    fn shown(listen: &str, external_url: Option<&str>) -> String {
        let external_url = external_url.map(ToOwned::to_owned);
        Banner { listen: listen.parse().unwrap(), external_url, admin: None, data: Path::new("/data") }
            .to_string()
    }

    #[test]
    fn the_registry_is_written_as_docker_takes_it() {
        assert!(shown("127.0.0.1:9911", None).contains("docker login 127.0.0.1:9911\n"));
        assert!(shown("0.0.0.0:80", None).contains("docker login 127.0.0.1:80\n"));
        let behind_a_proxy = shown("127.0.0.1:9911", Some("https://hub.example.com/"));
        assert!(behind_a_proxy.contains("docker login hub.example.com\n"));
        assert!(behind_a_proxy.contains("https://hub.example.com/\n"));
    }
}

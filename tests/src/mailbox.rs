//! A real SMTP server whose mails a test can read.

use std::{
    env, fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{address, process::Process};

/// How long a mail may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where it listens, on this test's own address.
const PORT: u16 = 2525;

/// The name that the server insists on.
pub const USERNAME: &str = "bucket";
/// The password that the server insists on.
pub const PASSWORD: &str = "the password of the mail server";

/// A running SMTP server that keeps what it is given.
#[derive(Debug)]
pub struct Mailbox {
    _server: Process,
    directory: TempDir,
    read: usize,
}

/// A mail that has arrived.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Recipients, sender, subject, and the text.
    pub text: String,
}

impl Letter {
    /// What its link says behind `#`.
    ///
    /// # Panics
    /// If it has no link.
    pub fn token(&self) -> &str {
        let link = self.text.lines().find(|line| line.starts_with("http") && line.contains('#'));
        link.and_then(|link| link.split_once('#')).map(|(_, token)| token).unwrap()
    }
}

impl Mailbox {
    /// Starts a server and waits until it listens.
    ///
    /// # Panics
    /// If it does not.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("mail").tempdir().unwrap();
        let listens_at = Self::listens_at();
        let mut command = Command::new(python());
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/setup/smtp_sink.py"))
            .args([listens_at.ip().to_string(), listens_at.port().to_string()])
            .arg(directory.path())
            .args([USERNAME, PASSWORD]);
        let log = directory.path().join("log");
        let server = Process::start("smtp-sink", command, &log, "the sink listens");
        Self { _server: server, directory, read: 0 }
    }

    /// Where it listens.
    pub fn listens_at() -> SocketAddr {
        address::with_port(PORT)
    }

    /// The next mail, which must be for `recipient`.
    ///
    /// # Panics
    /// If none arrives, or one for somebody else.
    pub async fn next(&mut self, recipient: &str) -> Letter {
        self.read += 1;
        let file = self.directory.path().join(format!("{:04}.txt", self.read));
        let began = Instant::now();
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        let text = loop {
            pause.tick().await;
            match fs::read_to_string(&file) {
                Ok(text) => break text,
                Err(error) => assert!(began.elapsed() < PATIENCE, "no mail for {recipient}: {error}"),
            }
        };
        assert!(text.starts_with(&format!("To: {recipient}\n")), "{text}");
        Letter { text }
    }

    /// Mails that have arrived and were not read.
    ///
    /// # Panics
    /// If the directory cannot be read.
    pub fn unread(&self) -> usize {
        let files = fs::read_dir(self.directory.path()).unwrap();
        let mails = files.filter(|file| {
            let name = file.as_ref().unwrap().file_name();
            let name = name.to_string_lossy();
            name.ends_with(".txt") && !name.starts_with('.')
        });
        mails.count() - self.read
    }
}

/// Where ./test has put its tools.
fn python() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache/bucket");
    let cache = env::var_os("TEST_CACHE").map_or_else(home, PathBuf::from);
    cache.join("tools/bin/python3")
}

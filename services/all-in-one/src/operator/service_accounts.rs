//! `bucket service-key` and `bucket service-token`: for programs of other teams that call gRPC themselves. No hub is
//! asked: whoever has the private key signs, and the ports read the public one.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use proto::roles;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use service_kit::{
    clock,
    grpc::{self, Role, ServiceAccount, ServiceName},
    jose::{Algorithm, KeyError, KeySet, PrivateKey},
};

use super::OperatorError;

/// What may be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a key: its private half for whoever signs, its public half for `grpc.service_keys_file` of the services
    Create(CreateKey),
}

/// Where the key goes.
#[derive(Debug, Args)]
pub struct CreateKey {
    /// The private key (PEM): a new file, for its owner alone
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// The public keys (a JSON Web Key Set), to which the new one is added; services read it again by themselves
    #[arg(long, value_name = "FILE")]
    keys_file: PathBuf,
    /// What kind of key
    #[arg(long, default_value = "eddsa")]
    algorithm: Kind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Eddsa,
    Es256,
}

/// What may be done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Signs a token and prints it; it is good until its end, or until its key is taken out of the services' files
    Create(CreateToken),
}

/// For whom, and for what.
#[derive(Debug, Args)]
pub struct CreateToken {
    /// Under which what the program writes is recorded, such as `team-x`
    #[arg(long)]
    name: ServiceName,
    /// What the program may: metadata.read, metadata.write, metadata.events, accounts.read, accounts.write,
    /// accounts.secrets, reclaim, backup, blob.read, blob.write, auth.tokens, auth.identities, or * for all
    #[arg(long, required = true, value_delimiter = ',', value_parser = role)]
    role: Vec<Role>,
    /// How long it is good, as `90d` or `12h`
    #[arg(long, value_parser = duration, default_value = "90d")]
    expires: Duration,
    /// The private key (PEM), from `bucket service-key create` or `openssl genpkey`
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

/// Why the file of a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system does not give or take it.
    #[error("{attempted} {}: {error}", file.display())]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is no set of keys.
    #[error("{} is no JSON Web Key Set: name another file, or move this one away", file.display())]
    NoSet {
        /// The file.
        file: PathBuf,
    },
    /// It is no key that can sign.
    #[error("{}: {error}; `bucket service-key create` makes one", file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        error: KeyError,
    },
}

fn role(text: &str) -> Result<Role, String> {
    if text == Role::ALL || roles::ALL.contains(&text) {
        return text.parse().map_err(|error: grpc::CallerError| error.to_string());
    }
    Err(format!("there is no such role; there are {} and *", roles::ALL.join(", ")))
}

fn duration(text: &str) -> Result<Duration, String> {
    service_kit::config::duration(text).map_err(|error| error.to_string())
}

impl KeyCommand {
    pub(super) fn run(&self, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
        let Self::Create(CreateKey { key_file, keys_file, algorithm }) = self;
        let refused = |error| KeyFileError::NoKey { file: key_file.clone(), error };
        let algorithm = match algorithm {
            Kind::Eddsa => Algorithm::EdDsa,
            Kind::Es256 => Algorithm::Es256,
        };
        let key = PrivateKey::generate(algorithm).map_err(refused)?;
        let set = with(keys_file, &key)?;

        // The private half first: without it, the public one is good for nothing.
        let written = write_private(key_file, &key.pem());
        written.map_err(|error| failed("writing", key_file, error))?;
        replace(keys_file, &set).map_err(|error| failed("writing", keys_file, error))?;
        let id = key.public().thumbprint();
        Ok(writeln!(
            out,
            "key        {id}\nprivate    {}\npublic     {}",
            key_file.display(),
            keys_file.display()
        )?)
    }
}

impl TokenCommand {
    pub(super) fn run(&self, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
        let Self::Create(CreateToken { name, role, expires, key_file }) = self;
        let text = fs::read_to_string(key_file).map_err(|error| failed("reading", key_file, error))?;
        let unusable = |error| KeyFileError::NoKey { file: key_file.clone(), error };
        let key = PrivateKey::of_pem(&SecretString::from(text)).map_err(unusable)?;

        let account = ServiceAccount { name: name.clone(), roles: role.clone() };
        let token = grpc::service_token(&key, &account, clock::system().now(), *expires).map_err(unusable)?;
        Ok(writeln!(out, "{}", token.expose_secret())?)
    }
}

fn failed(attempted: &'static str, file: &Path, error: io::Error) -> KeyFileError {
    KeyFileError::File { attempted, file: file.to_owned(), error }
}

/// The set in `file`, if there is one, with another key. What others have written there stays.
fn with(file: &Path, key: &PrivateKey) -> Result<String, KeyFileError> {
    let mut set: Value = match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => json!({ "keys": [] }),
        Err(error) => return Err(failed("reading", file, error)),
    };
    let added: KeySet = [(key.public().thumbprint(), *key.public())].into_iter().collect();
    let mut added = serde_json::to_value(added).unwrap_or_default();

    let keys = set.get_mut("keys").and_then(Value::as_array_mut);
    let added = added.get_mut("keys").and_then(Value::as_array_mut);
    let (Some(keys), Some(added)) = (keys, added) else {
        return Err(KeyFileError::NoSet { file: file.to_owned() });
    };
    keys.append(added);
    Ok(format!("{set:#}\n"))
}

fn write_private(file: &Path, text: &SecretString) -> io::Result<()> {
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    written.write_all(text.expose_secret().as_bytes())?;
    written.sync_all()
}

/// Whole or not at all: services read it at any time.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let temporary = file.with_extension("new");
    let mut written = fs::File::create(&temporary)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    fs::rename(&temporary, file)
}

#[cfg(test)]
mod tests {
    use super::{CreateKey, CreateToken, KeyCommand, Kind, TokenCommand, role};
    use service_kit::jose::{self, KeySet};
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

    fn create(directory: &Path, name: &str, algorithm: Kind) -> Result<(), String> {
        let command = KeyCommand::Create(CreateKey {
            key_file: directory.join(name),
            keys_file: directory.join("keys.json"),
            algorithm,
        });
        command.run(&mut Vec::new()).map_err(|error| error.to_string())
    }

    fn token(directory: &Path, name: &str) -> Result<String, String> {
        let mut out = Vec::new();
        let command = TokenCommand::Create(CreateToken {
            name: "team-x".parse().unwrap(),
            role: vec![role("metadata.read").unwrap()],
            expires: Duration::from_hours(1),
            key_file: directory.join(name),
        });
        command.run(&mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap().trim_end().to_owned())
    }

    #[test]
    fn tokens_are_verified_by_the_keys_that_were_added() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        fs::write(at.join("keys.json"), r#"{"keys":[{"kty":"RSA","kid":"others"}]}"#).unwrap();
        create(at, "one.pem", Kind::Eddsa).unwrap();
        create(at, "two.pem", Kind::Es256).unwrap();

        let text = fs::read(at.join("keys.json")).unwrap();
        assert!(String::from_utf8_lossy(&text).contains("others"));
        let keys = KeySet::read(&text).unwrap();
        for name in ["one.pem", "two.pem"] {
            let token = token(at, name).unwrap();
            let key = keys.find(&jose::named_key(&token).unwrap()).unwrap();
            let claims: serde_json::Value = key.verified(&token).unwrap();
            assert_eq!((&claims["sub"], &claims["aud"]), (&"team-x".into(), &"bucket-grpc".into()));
            let mode = fs::metadata(at.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        create(at, "one.pem", Kind::Eddsa).unwrap();
        let before = fs::read(at.join("keys.json")).unwrap();
        assert!(create(at, "one.pem", Kind::Eddsa).unwrap_err().contains("one.pem"));
        assert_eq!(fs::read(at.join("keys.json")).unwrap(), before);

        fs::write(at.join("keys.json"), "a diary").unwrap();
        assert!(create(at, "two.pem", Kind::Eddsa).unwrap_err().contains("keys.json"));
        assert!(!at.join("two.pem").exists());
        assert_eq!(fs::read(at.join("keys.json")).unwrap(), b"a diary");
    }

    #[test]
    fn a_role_that_does_not_exist_is_refused_before_anything_is_signed() {
        assert!(role("metadata.reed").unwrap_err().contains("metadata.read"));
        assert!(role("*").is_ok());
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("no.pem"), "no key").unwrap();
        assert!(token(directory.path(), "no.pem").unwrap_err().contains("service-key create"));
    }
}

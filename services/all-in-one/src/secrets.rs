//! The secrets that services of one process share: made on the first start, kept beside the data, readable by
//! nobody else.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;
use sha2::{Digest as _, Sha256};

const FILE: &str = "secret";
const BYTES: usize = 32;

/// One secret, from which each purpose has its own.
#[derive(Debug)]
pub struct Secrets(SecretString);

/// Why there are no secrets.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be read or written.
    #[error("{attempted} {}: {error}", file.display())]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not what this program writes.
    #[error("{} is damaged: put back the copy from your backup; without it the signing key cannot be opened", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
    },
}

impl Secrets {
    /// Reads the secret in `data`, or makes it: durable before it is used for the first time.
    ///
    /// # Errors
    /// `File`; `Damaged`.
    pub fn in_directory(data: &Path, random: &dyn Random) -> Result<Self, SecretsError> {
        match Self::of_hub(data) {
            Err(SecretsError::File { file, error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                make(data, &file, random).map_err(|error| SecretsError::File {
                    attempted: "writing",
                    file,
                    error,
                })
            }
            known => known,
        }
    }

    /// What metadata signs grants with.
    pub fn grants(&self) -> SecretString {
        self.for_purpose("grants")
    }

    /// What the signing key of tokens is sealed with.
    pub fn keys(&self) -> SecretString {
        self.for_purpose("keys")
    }

    /// What operators of this machine show at the socket.
    pub fn operators(&self) -> SecretString {
        // It travels, as the others do not: it must not tell what it was made from.
        let digest = Sha256::digest(self.for_purpose("operators").expose_secret());
        SecretString::from(URL_SAFE_NO_PAD.encode(digest))
    }

    /// Reads the secret that a hub in `data` has made.
    ///
    /// # Errors
    /// `File`; `Damaged`.
    pub fn of_hub(data: &Path) -> Result<Self, SecretsError> {
        let file = data.join(FILE);
        match fs::read_to_string(&file) {
            Ok(text) => Self::read(&text).ok_or(SecretsError::Damaged { file }),
            Err(error) => Err(SecretsError::File { attempted: "reading", file, error }),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.trim_end();
        let whole = URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == BYTES);
        whole.then(|| Self(SecretString::from(text)))
    }

    // All uses derive what they need from the whole text, so the suffix is enough to part them.
    fn for_purpose(&self, purpose: &str) -> SecretString {
        SecretString::from(format!("{}/{purpose}", self.0.expose_secret()))
    }
}

fn make(data: &Path, file: &Path, random: &dyn Random) -> io::Result<Secrets> {
    let mut bytes = [0; BYTES];
    random.fill(&mut bytes);
    let text = URL_SAFE_NO_PAD.encode(bytes);

    let temporary = file.with_extension("new");
    let mut options = OpenOptions::new();
    let mut written = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    writeln!(written, "{text}")?;
    written.sync_all()?;
    fs::rename(&temporary, file)?;
    File::open(data)?.sync_all()?;
    Ok(Secrets(SecretString::from(text)))
}

#[cfg(test)]
mod tests {
    use super::{Secrets, SecretsError};
    use secrecy::ExposeSecret as _;
    use service_kit::random::SystemRandom;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn the_secret_is_made_once_for_its_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        let made = Secrets::in_directory(data.path(), &SystemRandom).unwrap();
        let read = Secrets::in_directory(data.path(), &SystemRandom).unwrap();

        assert_eq!(made.keys().expose_secret(), read.keys().expose_secret());
        assert_ne!(made.keys().expose_secret(), made.grants().expose_secret());
        let permissions = fs::metadata(data.path().join("secret")).unwrap().permissions().mode();
        assert_eq!(permissions & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_secret_is_not_replaced() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("secret"), "half").unwrap();
        let refused = Secrets::in_directory(data.path(), &SystemRandom);
        assert!(matches!(refused, Err(SecretsError::Damaged { .. })));
    }
}

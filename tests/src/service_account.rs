//! Service accounts of a hub: the keys that its gRPC ports read, and the tokens that those have signed.

use std::{fs, path::PathBuf};

use service_kit::jose::PrivateKey;
use tempfile::TempDir;

use crate::operator::without_hub;

/// Keys in a directory of their own.
#[derive(Debug)]
pub struct ServiceKeys(TempDir);

impl ServiceKeys {
    /// One key, made by the program that operators have.
    ///
    /// # Panics
    /// If it does not make one.
    pub fn new() -> Self {
        let keys = Self(tempfile::Builder::new().prefix("service-keys").tempdir().unwrap());
        keys.make("first");
        keys
    }

    /// The environment of ports that let its accounts in.
    pub fn environment(&self) -> Vec<(String, String)> {
        let file = self.public().display().to_string();
        vec![("BUCKET_GRPC__SERVICE_KEYS_FILE".to_owned(), file)]
    }

    /// The public keys.
    pub fn public(&self) -> PathBuf {
        self.0.path().join("keys.json")
    }

    /// Adds another key.
    ///
    /// # Panics
    /// If it is not made.
    pub fn make(&self, name: &str) {
        let (private, public) = (self.private(name), self.public().display().to_string());
        without_hub(&["service-key", "create", "--key-file", &private, "--keys-file", &public]).unwrap();
    }

    /// Forgets all keys but those that are made from now on.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn forget(&self) {
        fs::write(self.public(), r#"{"keys":[]}"#).unwrap();
    }

    /// A token of an account with one role, signed with the key of that name.
    ///
    /// # Panics
    /// If it is not signed.
    pub fn token(&self, key: &str, account: &str, role: &str) -> String {
        self.token_for(key, account, role, "1h")
    }

    /// The same, for a time.
    ///
    /// # Panics
    /// As `token`.
    pub fn token_for(&self, key: &str, account: &str, role: &str, time: &str) -> String {
        let key_file = self.private(key);
        let arguments = ["--name", account, "--role", role, "--expires", time, "--key-file", &key_file];
        let made = without_hub(&[&["service-token", "create"][..], &arguments].concat()).unwrap();
        made.trim_end().to_owned()
    }

    /// A token that says `claims`, whatever they are.
    ///
    /// # Panics
    /// If it is not signed.
    pub fn signed(&self, key: &str, claims: &serde_json::Value) -> String {
        let text = fs::read_to_string(self.private(key)).unwrap();
        let key = PrivateKey::of_pem(&text.into()).unwrap();
        key.signed(&key.public().thumbprint(), claims).unwrap()
    }

    fn private(&self, name: &str) -> String {
        self.0.path().join(format!("{name}.pem")).display().to_string()
    }
}

impl Default for ServiceKeys {
    fn default() -> Self {
        Self::new()
    }
}

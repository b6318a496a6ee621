//! Which container is used, as `[blob.swift]` gives it: the only place that reads it. Its keys are those of OpenStack's own
//! `clouds.yaml`.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use service_kit::config::{SecretError, given_secret};

const PASSWORD: &str = "password";
const APPLICATION_SECRET: &str = "application_credential_secret";
const TEMP_URL_KEY: &str = "temp_url_key";

/// The domain that every Keystone has from its beginning.
const FIRST_DOMAIN: &str = "default";

/// A container, and how it is reached.
#[derive(Debug, Clone)]
pub struct SwiftConfig {
    /// Its name.
    pub container: String,
    pub(super) auth_url: Address,
    pub(super) user: User,
    /// None: the only one there is, or else the first that Keystone names.
    pub(super) region: Option<String>,
    pub(super) interface: Interface,
    /// Where the account is, if not where the one says who checks the user.
    pub(super) storage_url: Option<Address>,
    pub(super) public: Option<Public>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum User {
    /// Whom TempAuth knows, as `account:user`.
    TempAuth { name: String, password: SecretString },
    /// Whom Keystone knows, with a project.
    Password { user: Named, password: SecretString, project: Named },
    /// What a user of Keystone has made for one program: it belongs to a project by itself.
    Application { credential: Named, secret: SecretString },
}

/// Something that Keystone knows.
#[derive(Debug, Clone)]
pub(super) enum Named {
    Id(String),
    /// By a name, which is unique within something else: a domain, or a user; or, a domain's, everywhere.
    Called(String, Option<Box<Named>>),
}

/// Where clients are sent, and what their addresses are signed with.
#[derive(Debug, Clone)]
pub(super) struct Public {
    pub(super) endpoint: Address,
    pub(super) key: SecretString,
}

/// Which of the addresses of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Interface {
    /// That for everybody.
    #[default]
    Public,
    /// That for other services of the same cloud.
    Internal,
    /// That for who runs it.
    Admin,
}

/// Who checks the user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Auth {
    /// Keystone, version 3.
    #[default]
    Keystone,
    /// Swift itself, version 1.
    TempAuth,
}

/// Where a server is: `http://` or `https://`, a host, with or without a port and a path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Address {
    /// Scheme, host and port.
    pub(super) origin: String,
    /// Empty, or begins with `/` and does not end with it.
    pub(super) path: String,
}

/// Why there is no container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A secret is missing, or cannot be read.
    #[error("`swift`: {0}")]
    Secret(#[from] SecretError),
    /// A key that is needed.
    #[error("missing field `swift.{key}`")]
    Missing {
        /// Which.
        key: &'static str,
    },
    /// Two keys that say the same.
    #[error("`swift.{one}` and `swift.{other}` exclude each other")]
    Twice {
        /// One.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// Not an address of a server.
    #[error("{given:?} is not `http://host` or `https://host`, with or without a port and a path")]
    Address {
        /// What was given.
        given: String,
    },
    /// Swift may have a container of that name, and it would have to be written otherwise in addresses.
    #[error(
        "`swift.container` {given:?}: letters, digits, `.`, `_` and `-` are its characters, at most 256 of them"
    )]
    Container {
        /// What was given.
        given: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenSwift {
    #[serde(default)]
    auth: Auth,
    auth_url: Address,
    username: Option<String>,
    user_id: Option<String>,
    user_domain_name: Option<String>,
    user_domain_id: Option<String>,
    password: Option<SecretString>,
    password_file: Option<PathBuf>,
    project_name: Option<String>,
    project_id: Option<String>,
    project_domain_name: Option<String>,
    project_domain_id: Option<String>,
    application_credential_id: Option<String>,
    application_credential_name: Option<String>,
    application_credential_secret: Option<SecretString>,
    application_credential_secret_file: Option<PathBuf>,
    container: String,
    region: Option<String>,
    #[serde(default)]
    interface: Interface,
    storage_url: Option<Address>,
    public_endpoint: Option<Address>,
    temp_url_key: Option<SecretString>,
    temp_url_key_file: Option<PathBuf>,
}

impl GivenSwift {
    /// The container that is given.
    ///
    /// # Errors
    /// What is missing, or wrong.
    pub(crate) fn config(mut self) -> Result<SwiftConfig, ConfigError> {
        let proper = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
        let long = self.container.len() > 256 || [".", ".."].contains(&self.container.as_str());
        if self.container.is_empty() || long || !self.container.chars().all(proper) {
            return Err(ConfigError::Container { given: self.container });
        }

        let public = self.public()?;
        let auth = self.auth;
        let user = match auth {
            Auth::TempAuth => self.temp_auth()?,
            Auth::Keystone if self.is_application() => self.application()?,
            Auth::Keystone => self.with_password()?,
        };
        Ok(SwiftConfig {
            container: self.container,
            auth_url: self.auth_url,
            user,
            region: self.region,
            interface: self.interface,
            storage_url: self.storage_url,
            public,
        })
    }

    fn public(&mut self) -> Result<Option<Public>, ConfigError> {
        let given = self.temp_url_key.is_some() || self.temp_url_key_file.is_some();
        match self.public_endpoint.take() {
            None if given => Err(ConfigError::Missing { key: "public_endpoint" }),
            None => Ok(None),
            Some(endpoint) => {
                let (key, file) = (self.temp_url_key.take(), self.temp_url_key_file.take());
                Ok(Some(Public { endpoint, key: given_secret(TEMP_URL_KEY, key, file)? }))
            }
        }
    }

    fn password(&mut self) -> Result<SecretString, ConfigError> {
        Ok(given_secret(PASSWORD, self.password.take(), self.password_file.take())?)
    }

    fn temp_auth(&mut self) -> Result<User, ConfigError> {
        let name = self.username.take().ok_or(ConfigError::Missing { key: "username" })?;
        Ok(User::TempAuth { name, password: self.password()? })
    }

    fn is_application(&self) -> bool {
        self.application_credential_id.is_some() || self.application_credential_name.is_some()
    }

    fn application(&mut self) -> Result<User, ConfigError> {
        let id = self.application_credential_id.take();
        let credential = match (id, self.application_credential_name.take()) {
            (Some(id), None) => Named::Id(id),
            (None, Some(name)) => Named::Called(name, Some(Box::new(self.user()?))),
            (None, None) => return Err(ConfigError::Missing { key: "application_credential_id" }),
            (Some(_), Some(_)) => {
                let (one, other) = ("application_credential_id", "application_credential_name");
                return Err(ConfigError::Twice { one, other });
            }
        };
        let (secret, file) =
            (self.application_credential_secret.take(), self.application_credential_secret_file.take());
        Ok(User::Application { credential, secret: given_secret(APPLICATION_SECRET, secret, file)? })
    }

    fn with_password(&mut self) -> Result<User, ConfigError> {
        let user = self.user()?;
        let (id, name) = (self.project_id.take(), self.project_name.take());
        let domain = domain(self.project_domain_id.take(), self.project_domain_name.take());
        let project = named(("project_id", id), ("project_name", name), domain)?;
        Ok(User::Password { user, password: self.password()?, project })
    }

    fn user(&mut self) -> Result<Named, ConfigError> {
        let (id, name) = (self.user_id.take(), self.username.take());
        let domain = domain(self.user_domain_id.take(), self.user_domain_name.take());
        named(("user_id", id), ("username", name), domain)
    }
}

/// What is within a domain, by its id or by its name.
fn named(
    (id_key, id): (&'static str, Option<String>),
    (name_key, name): (&'static str, Option<String>),
    domain: Named,
) -> Result<Named, ConfigError> {
    match (id, name) {
        (Some(id), None) => Ok(Named::Id(id)),
        (None, Some(name)) => Ok(Named::Called(name, Some(Box::new(domain)))),
        (None, None) => Err(ConfigError::Missing { key: name_key }),
        (Some(_), Some(_)) => Err(ConfigError::Twice { one: id_key, other: name_key }),
    }
}

fn domain(id: Option<String>, name: Option<String>) -> Named {
    match (id, name) {
        (Some(id), _) => Named::Id(id),
        (None, Some(name)) => Named::Called(name, None),
        (None, None) => Named::Id(FIRST_DOMAIN.to_owned()),
    }
}

impl Address {
    /// What is at `path` of the same server and below this address.
    pub(super) fn below(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.path)
    }

    /// The server, without a path.
    pub(super) fn origin_alone(&self) -> Self {
        Self { origin: self.origin.clone(), path: String::new() }
    }
}

impl TryFrom<String> for Address {
    type Error = ConfigError;

    fn try_from(given: String) -> Result<Self, ConfigError> {
        let found = ["https://", "http://"].into_iter().find_map(|scheme| {
            let rest = given.strip_prefix(scheme)?.trim_end_matches('/');
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let proper = |text: &str| text.chars().all(|c| c.is_ascii_graphic() && !"?#@\"\\<>".contains(c));
            let whole = !host.is_empty() && proper(host) && proper(path);
            whole.then(|| Self { origin: format!("{scheme}{host}"), path: path.to_owned() })
        });
        found.ok_or(ConfigError::Address { given })
    }
}

#[cfg(test)]
mod tests {
    use super::{GivenSwift, Named, User};

    fn given(keys: &str) -> Result<super::SwiftConfig, String> {
        let text = format!("auth_url = \"https://id.example.com/v3/\"\ncontainer = \"images\"\n{keys}");
        let given: GivenSwift = toml::from_str(&text).map_err(|error| error.to_string())?;
        given.config().map_err(|error| error.to_string())
    }

    const USER: &str = "username = \"hub\"\npassword = \"of the hub\"\n";

    #[test]
    fn a_user_and_a_project_are_in_the_first_domain_unless_another_is_said() {
        let config = given(&format!("{USER}project_name = \"registry\"")).unwrap();
        let User::Password { user, project, .. } = &config.user else { panic!("{config:?}") };
        for (named, name) in [(user, "hub"), (project, "registry")] {
            let Named::Called(found, Some(domain)) = named else { panic!("{named:?}") };
            assert!(found == name && matches!(&**domain, Named::Id(id) if id == "default"));
        }
        assert_eq!(
            (config.auth_url.below("/auth"), config.region),
            ("https://id.example.com/v3/auth".into(), None)
        );
        assert!(!format!("{:?}", config.user).contains("of the hub"));
    }

    #[test]
    fn what_is_missing_or_said_twice_is_named() {
        for (keys, named) in [
            (USER.to_owned(), "project_name"),
            (format!("{USER}project_name = \"a\"\nproject_id = \"b\""), "project_id"),
            ("auth = \"tempauth\"\nusername = \"hub:bucket\"".to_owned(), "password"),
            ("auth = \"tempauth\"\npassword = \"x\"".to_owned(), "username"),
            ("application_credential_id = \"a\"".to_owned(), "application_credential_secret"),
            (format!("{USER}project_id = \"b\"\ntemp_url_key = \"x\""), "public_endpoint"),
            (format!("{USER}project_id = \"b\"\npublic_endpoint = \"https://a\""), "temp_url_key"),
            (format!("{USER}project_id = \"b\"\nstorage_url = \"a.example.com\""), "https://host"),
            (format!("{USER}project_id = \"b\"\nreggion = \"a\""), "reggion"),
        ] {
            let error = given(&keys).unwrap_err();
            assert!(error.contains(named) && !error.contains("of the hub"), "{keys}: {error}");
        }
    }
}

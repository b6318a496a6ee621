//! Whose word counts, as the configuration says it: providers of identities for people, and issuers of tokens for
//! workloads. Nobody else is ever asked.

use std::{collections::BTreeMap, path::PathBuf};

use proto::{
    auth::federation::ProviderName,
    metadata::credentials::{ClaimPattern, Issuer, RequiredClaims, TrustError},
};
use secrecy::SecretString;
use serde::Deserialize;
use service_kit::config::{SecretError, given_secret};

const CLIENT_SECRET: &str = "client_secret";

/// What every request for an identity asks for.
const OPENID: &str = "openid";

/// A provider of identities that people sign in with (OpenID Connect).
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "GivenProvider")]
pub struct ProviderConfig {
    /// What it is called in addresses.
    pub name: ProviderName,
    /// What people know it as; the name by default.
    pub label: String,
    /// Its address, as it writes it itself.
    pub issuer: Issuer,
    /// What this hub is called there.
    pub client_id: String,
    /// What this hub shows there. Given as `client_secret` or `client_secret_file`; none: the hub is a public client.
    pub client_secret: Option<SecretString>,
    /// What is asked for; `openid` and `profile` by default.
    pub scopes: Vec<String>,
    /// Who may get an account by it: `link_only` (nobody, the default) or `create`.
    pub sign_up: ProviderSignUp,
    /// The claim that new accounts are called by; `preferred_username` by default.
    pub username_claim: String,
    /// What claims must say of whoever signs in, as `hd = "example.com"` or `groups = "devs"`; none by default.
    pub required_claims: Option<RequiredClaims>,
}

/// Who may get an account by a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderSignUp {
    /// Nobody: users link their identities to accounts that they have.
    #[default]
    LinkOnly,
    /// Whoever the provider knows and the required claims let in.
    Create,
}

/// An issuer whose tokens workloads may show.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadIssuerConfig {
    /// Its address, as its tokens say it.
    pub issuer: Issuer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenProvider {
    name: ProviderName,
    label: Option<String>,
    issuer: Issuer,
    client_id: String,
    client_secret: Option<SecretString>,
    client_secret_file: Option<PathBuf>,
    #[serde(default = "scopes")]
    scopes: Vec<String>,
    #[serde(default)]
    sign_up: ProviderSignUp,
    #[serde(default = "username_claim")]
    username_claim: String,
    #[serde(default)]
    required_claims: BTreeMap<String, ClaimPattern>,
}

/// Why this is no provider.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The required claims are none.
    #[error("`required_claims`: {0}")]
    Claims(#[from] TrustError),
    /// A text is empty.
    #[error("`client_id` and `username_claim` must not be empty, and a scope has no spaces")]
    Empty,
    /// The provider would be told apart by nobody.
    #[error("a `label` has 1 to 100 characters in one line")]
    Label,
}

impl TryFrom<GivenProvider> for ProviderConfig {
    type Error = ProviderError;

    fn try_from(given: GivenProvider) -> Result<Self, ProviderError> {
        let client_secret = match (given.client_secret, given.client_secret_file) {
            (None, None) => None,
            (secret, file) => Some(given_secret(CLIENT_SECRET, secret, file)?),
        };
        let spaced = |scope: &String| scope.is_empty() || scope.contains(char::is_whitespace);
        if given.client_id.is_empty() || given.username_claim.is_empty() || given.scopes.iter().any(spaced) {
            return Err(ProviderError::Empty);
        }
        let label = given.label.unwrap_or_else(|| given.name.to_string());
        if !(1..=100).contains(&label.chars().count()) || label.contains(char::is_control) {
            return Err(ProviderError::Label);
        }

        let claims = Some(given.required_claims).filter(|claims| !claims.is_empty());
        Ok(Self {
            name: given.name,
            label,
            issuer: given.issuer,
            client_id: given.client_id,
            client_secret,
            scopes: with_openid(given.scopes),
            sign_up: given.sign_up,
            username_claim: given.username_claim,
            required_claims: claims.map(RequiredClaims::try_from).transpose()?,
        })
    }
}

fn with_openid(scopes: Vec<String>) -> Vec<String> {
    let others = scopes.into_iter().filter(|scope| scope != OPENID);
    std::iter::once(OPENID.to_owned()).chain(others).collect()
}

fn scopes() -> Vec<String> {
    vec![OPENID.to_owned(), "profile".to_owned()]
}

fn username_claim() -> String {
    "preferred_username".to_owned()
}

#[cfg(test)]
mod tests {
    use super::{ProviderConfig, ProviderSignUp};

    fn read(more: &str) -> Result<ProviderConfig, String> {
        let least = "name = 'acme'\nissuer = 'https://id.example.com'\nclient_id = 'hub'\n";
        toml::from_str(&format!("{least}{more}")).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_provider_needs_a_name_an_issuer_and_a_client() {
        let provider = read("").unwrap();
        assert_eq!((provider.label.as_str(), provider.sign_up), ("acme", ProviderSignUp::LinkOnly));
        assert_eq!(provider.scopes, ["openid", "profile"]);
        assert_eq!(provider.username_claim, "preferred_username");
        assert!(provider.client_secret.is_none() && provider.required_claims.is_none());
        assert!(toml::from_str::<ProviderConfig>("name = 'acme'").is_err());
    }

    #[test]
    fn what_is_given_counts() {
        let provider = read(
            "label = 'Acme'\nclient_secret = 'x'\nscopes = ['groups']\nsign_up = 'create'\n\
             required_claims = { groups = 'devs' }",
        )
        .unwrap();
        assert_eq!(provider.scopes, ["openid", "groups"], "nobody has an identity without openid");
        assert_eq!(provider.sign_up, ProviderSignUp::Create);
        assert!(provider.client_secret.is_some() && provider.required_claims.is_some());
    }

    #[test]
    fn what_would_not_work_or_let_everybody_in_is_refused() {
        for bad in [
            "client_id2 = 'x'",
            "label = ''",
            "scopes = ['a b']",
            "username_claim = ''",
            "sign_up = 'maybe'",
            "required_claims = { groups = '*' }",
            "client_secret = 'x'\nclient_secret_file = '/y'",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let plain = "name = 'a'\nissuer = 'http://id.example.com'\nclient_id = 'hub'";
        assert!(toml::from_str::<ProviderConfig>(plain).is_err());
    }
}

//! What a workload's own token must say so that it is as good as the secret of a robot: who signs it, for whom it is,
//! and claims. The signature is checked by whoever asks; this knows texts only.

use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Trusts of one namespace, at most.
pub const MAX_TRUSTS: usize = 50;

/// Claims of one trust, at most.
pub const MAX_CLAIMS: usize = 16;

/// Characters of the name of a claim, of an issuer and of an audience, at most.
const LONGEST_NAME: usize = 255;

/// Characters of what a claim must say, at most.
const LONGEST_PATTERN: usize = 512;

/// Claims that every token has; what they must say is decided otherwise.
const DECIDED: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// Whose tokens are as good as a robot's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Who signs them.
    pub issuer: Issuer,
    /// For whom they must be.
    pub audience: Audience,
    /// What they must say besides.
    pub claims: RequiredClaims,
}

/// Why a text is no part of a trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No issuer has such an address.
    #[error("{0:?} is no issuer: write its address as https://host or https://host/path")]
    Issuer(String),
    /// No token is for such an audience.
    #[error("an audience has 1 to {LONGEST_NAME} characters without control characters")]
    Audience,
    /// There are none, or too many claims.
    #[error(
        "name 1 to {MAX_CLAIMS} claims, so that not every token of the issuer is good; there are {found}"
    )]
    Claims {
        /// How many there are.
        found: usize,
    },
    /// The name of a claim is none, or the claim is decided otherwise.
    #[error("{0:?} cannot be required as a claim: name one that says who the workload is, such as sub")]
    ClaimName(String),
    /// What a claim must say means nothing.
    #[error(
        "a claim must say something: write its value, or how it begins and one `*` at the end, in at most \
         {LONGEST_PATTERN} characters"
    )]
    Pattern,
}

fn is_line(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.chars().count()) && !text.contains(char::is_control)
}

fn told(text: &str) -> String {
    text.chars().take(128).collect()
}

/// A newtype over a text that is read and written as itself.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = TrustError;

            fn try_from(text: String) -> Result<Self, TrustError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

text! {
    /// Who signs tokens: an address, as `https://token.actions.example.com`; with `http` only on this machine.
    Issuer
}

impl FromStr for Issuer {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let graphic = text.len() <= LONGEST_NAME && text.bytes().all(|byte| byte.is_ascii_graphic());
        let plain = graphic && !text.contains(['?', '#', '@', '\\', '"', '<', '>']);
        let host = |rest: &str| rest.split('/').next().is_some_and(|host| !host.is_empty());
        let good = match text.split_once("://") {
            Some(("https", rest)) => host(rest),
            Some(("http", rest)) => is_loopback(rest),
            _ => false,
        };
        if plain && good { Ok(Self(text.to_owned())) } else { Err(TrustError::Issuer(told(text))) }
    }
}

fn is_loopback(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

text! {
    /// For whom a token is.
    Audience
}

impl FromStr for Audience {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        if is_line(text, LONGEST_NAME) { Ok(Self(text.to_owned())) } else { Err(TrustError::Audience) }
    }
}

text! {
    /// What a claim must say: a value, or the beginning of one and `*`.
    ClaimPattern
}

impl FromStr for ClaimPattern {
    type Err = TrustError;

    // A lone `*` would let every token in that has the claim.
    fn from_str(text: &str) -> Result<Self, TrustError> {
        let good = is_line(text, LONGEST_PATTERN) && text != "*";
        if good { Ok(Self(text.to_owned())) } else { Err(TrustError::Pattern) }
    }
}

impl ClaimPattern {
    /// Whether a claim says it: its text, number or word, or one of a list of those.
    pub fn matches(&self, claim: &Value) -> bool {
        match claim {
            Value::String(text) => self.says(text),
            Value::Bool(_) | Value::Number(_) => self.says(&claim.to_string()),
            Value::Array(values) => {
                values.iter().any(|value| !value.is_array() && !value.is_object() && self.matches(value))
            }
            Value::Null | Value::Object(_) => false,
        }
    }

    fn says(&self, text: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => text.starts_with(beginning),
            None => self.0 == text,
        }
    }
}

/// What claims must say, by their names: at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, ClaimPattern>", into = "BTreeMap<String, ClaimPattern>")]
pub struct RequiredClaims(BTreeMap<String, ClaimPattern>);

impl RequiredClaims {
    /// Whether all of them are said.
    pub fn are_said_by(&self, claims: &serde_json::Map<String, Value>) -> bool {
        self.0.iter().all(|(name, pattern)| claims.get(name).is_some_and(|claim| pattern.matches(claim)))
    }

    /// The names and what they must say.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ClaimPattern)> {
        self.0.iter().map(|(name, pattern)| (name.as_str(), pattern))
    }
}

impl TryFrom<BTreeMap<String, ClaimPattern>> for RequiredClaims {
    type Error = TrustError;

    fn try_from(claims: BTreeMap<String, ClaimPattern>) -> Result<Self, TrustError> {
        if !(1..=MAX_CLAIMS).contains(&claims.len()) {
            return Err(TrustError::Claims { found: claims.len() });
        }
        let bad = |name: &&String| !is_line(name, LONGEST_NAME) || DECIDED.contains(&name.as_str());
        match claims.keys().find(bad) {
            Some(name) => Err(TrustError::ClaimName(told(name))),
            None => Ok(Self(claims)),
        }
    }
}

impl From<RequiredClaims> for BTreeMap<String, ClaimPattern> {
    fn from(claims: RequiredClaims) -> Self {
        claims.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;
    use serde_json::json;

    use super::{ClaimPattern, Issuer, RequiredClaims, TrustError};

    #[rstest]
    #[case("https://issuer.example.com", true)]
    #[case("https://issuer.example.com:8443/realms/x", true)]
    #[case("http://127.0.0.1:4000", true)]
    #[case("http://[::1]:4000/a", true)]
    #[case("http://localhost", true)]
    #[case("http://issuer.example.com", false)]
    #[case("http://127.0.0.1.example.com", false)]
    #[case("http://127.0.0.1@example.com", false)]
    #[case("https://", false)]
    #[case("https://a/?x=1", false)]
    #[case("https://a/#x", false)]
    #[case("https://a b", false)]
    #[case("ftp://a", false)]
    #[case("", false)]
    fn an_issuer_is_an_address_that_nobody_can_listen_to(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<Issuer>().is_ok(), good);
    }

    #[rstest]
    #[case("repo:acme/app", json!("repo:acme/app"), true)]
    #[case("repo:acme/app", json!("repo:acme/app2"), false)]
    #[case("repo:acme/*", json!("repo:acme/app"), true)]
    #[case("repo:acme/*", json!("repo:acmex"), false)]
    #[case("true", json!(true), true)]
    #[case("7", json!(7), true)]
    #[case("devs", json!(["ops", "devs"]), true)]
    #[case("devs", json!([["devs"]]), false)]
    #[case("devs", json!({ "devs": "devs" }), false)]
    #[case("null", json!(null), false)]
    fn a_claim_says_a_value_or_how_it_begins(
        #[case] pattern: &str,
        #[case] claim: serde_json::Value,
        #[case] said: bool,
    ) {
        assert_eq!(pattern.parse::<ClaimPattern>().unwrap().matches(&claim), said);
    }

    #[test]
    fn no_trust_takes_every_token_of_an_issuer() {
        let claims = |claims: &[(&str, &str)]| {
            let one = |(name, text): &(&str, &str)| -> Result<(String, ClaimPattern), TrustError> {
                Ok(((*name).to_owned(), text.parse()?))
            };
            let read: Result<BTreeMap<_, _>, _> = claims.iter().map(one).collect();
            read.and_then(RequiredClaims::try_from)
        };
        for bad in [&[][..], &[("sub", "*")], &[("sub", "")], &[("iss", "x")], &[("", "x")], &[("a\n", "x")]]
        {
            assert!(claims(bad).is_err(), "{bad:?}");
        }
        assert!(claims(&[("sub", "x"), ("ref", "refs/*")]).is_ok());
    }
}

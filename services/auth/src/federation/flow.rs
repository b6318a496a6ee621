//! What a browser keeps while it is at the provider: sealed, so that any replica can finish what another has begun, and
//! nobody can make, read or change it.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use oci::{AccountName, CredentialId};
use proto::auth::federation::{ProviderName, ReturnPath};
use serde::{Deserialize, Serialize};
use service_kit::random::Random;
use subtle::ConstantTimeEq as _;

use crate::sealing::Sealer;

/// How long somebody may take at the provider.
pub(crate) const LIFETIME: Duration = Duration::from_mins(10);

/// What the key that seals flows is derived for.
pub(crate) const PURPOSE: &str = "sign-ins by providers, 1";

/// A way over a provider.
#[derive(Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) provider: ProviderName,
    /// Who wants to have the identity; none: somebody signs in.
    pub(crate) link: Option<Linking>,
    pub(crate) redirect_uri: String,
    pub(crate) return_to: ReturnPath,
    /// What the browser brings back.
    pub(crate) state: String,
    /// What the identity token says.
    pub(crate) nonce: String,
    /// What shows that the code is for us (RFC 7636).
    pub(crate) verifier: String,
    begun_ms: i64,
}

/// The user to whom an identity is to be linked.
#[derive(Serialize, Deserialize)]
pub(crate) struct Linking {
    pub(crate) user: AccountName,
    /// The session that it was begun in, and that must not have ended.
    pub(crate) session: CredentialId,
}

/// Why a flow is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    Absent,
    Late,
    Strange,
}

impl Lost {
    /// In words that follow "this sign-in cannot be finished:".
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Absent => "this browser has not begun it, or keeps no cookies",
            Self::Late => "it has taken more than ten minutes",
            Self::Strange => "what came back is not what was sent",
        }
    }
}

impl Flow {
    pub(crate) fn begun(
        provider: ProviderName,
        link: Option<Linking>,
        (redirect_uri, return_to): (String, ReturnPath),
        (now, random): (Timestamp, &dyn Random),
    ) -> Self {
        let [state, nonce, verifier] = [(); 3].map(|()| unguessable(random));
        let begun_ms = now.as_millisecond();
        Self { provider, link, redirect_uri, return_to, state, nonce, verifier, begun_ms }
    }

    pub(crate) fn sealed(&self, sealer: &Sealer, random: &dyn Random) -> Option<String> {
        sealer.text(&serde_json::to_vec(self).ok()?, random).ok()
    }

    /// The flow that a browser kept, if it was begun for this provider and state, and not too long ago.
    pub(crate) fn resumed(
        sealer: &Sealer,
        kept: &str,
        (provider, state): (&ProviderName, &str),
        now: Timestamp,
    ) -> Result<Self, Lost> {
        let opened = sealer.open_text(kept).map_err(|_| Lost::Absent)?;
        let flow: Self = serde_json::from_slice(&opened).map_err(|_| Lost::Absent)?;
        let same = bool::from(flow.state.as_bytes().ct_eq(state.as_bytes()));

        if !same || flow.provider != *provider {
            return Err(Lost::Strange);
        }
        if now.duration_since(flow.since()).unsigned_abs() >= LIFETIME {
            return Err(Lost::Late);
        }
        Ok(flow)
    }

    fn since(&self) -> Timestamp {
        Timestamp::from_millisecond(self.begun_ms).unwrap_or(Timestamp::MIN)
    }

    /// What the provider is told of the verifier.
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }
}

fn unguessable(random: &dyn Random) -> String {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use service_kit::random::SeededRandom;

    use super::{Flow, LIFETIME, Lost, PURPOSE};
    use crate::sealing::Sealer;

    const NOW: Timestamp = Timestamp::constant(1_767_225_600, 0);

    #[test]
    fn a_flow_goes_on_in_the_browser_that_began_it_with_its_state_for_ten_minutes() {
        let (sealer, random) = (Sealer::new(&"a secret of many".into(), PURPOSE), SeededRandom::new(9));
        let acme = "acme".parse().unwrap();
        let begin = || {
            let to = ("https://hub.example.com/back".to_owned(), "/x".parse().unwrap());
            Flow::begun("acme".parse().unwrap(), None, to, (NOW, &random))
        };
        let (flow, other) = (begin(), begin());
        assert!(flow.state != other.state && flow.nonce != other.nonce && flow.verifier != other.verifier);
        let kept = flow.sealed(&sealer, &random).unwrap();
        assert!(kept.len() < 2048, "a browser keeps it in a cookie");

        let resumed = |kept: &str, provider: &str, state: &str, now| {
            Flow::resumed(&sealer, kept, (&provider.parse().unwrap(), state), now).map(|flow| flow.nonce)
        };
        assert_eq!(resumed(&kept, "acme", &flow.state, NOW), Ok(flow.nonce.clone()));
        assert_eq!(resumed(&kept, "acme", &other.state, NOW), Err(Lost::Strange));
        assert_eq!(resumed(&kept, "acme", "", NOW), Err(Lost::Strange));
        assert_eq!(resumed(&kept, "other", &flow.state, NOW), Err(Lost::Strange));
        assert_eq!(resumed("", "acme", &flow.state, NOW), Err(Lost::Absent));
        let late = NOW.saturating_add(LIFETIME).unwrap();
        assert_eq!(resumed(&kept, "acme", &flow.state, late), Err(Lost::Late));
        let elsewhere = Sealer::new(&"another secret".into(), PURPOSE);
        assert!(Flow::resumed(&elsewhere, &kept, (&acme, &flow.state), NOW).is_err());
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let random = SeededRandom::new(9);
        let to = (String::new(), "/".parse().unwrap());
        let flow = Flow::begun("acme".parse().unwrap(), None, to, (NOW, &random));
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        assert_eq!(Flow { verifier, ..flow }.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}

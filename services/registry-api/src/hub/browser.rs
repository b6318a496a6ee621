//! What a browser keeps between two requests of one sign-in: a cookie that no page can read, and that goes nowhere but back
//! to the providers' addresses of this hub.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{extract::FromRequestParts, response::Response};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use proto::auth::federation::{BegunFlow, ProviderName};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{Registry, urls::Urls};

const COOKIE: &str = "bucket_flow";
const PATH: &str = "/api/v1/providers";

/// A browser, as one request shows it.
pub(super) struct Browser {
    /// What it keeps; empty: nothing.
    pub(super) kept: SecretString,
    urls: Urls,
}

impl FromRequestParts<Arc<Registry>> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, registry: &Arc<Registry>) -> Result<Self, Infallible> {
        let urls = registry.asked(parts).urls;
        Ok(Self { kept: kept(&parts.headers).unwrap_or_default().into(), urls })
    }
}

fn kept(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

impl Browser {
    /// Where a provider sends it back to.
    pub(super) fn callback(&self, provider: &ProviderName) -> String {
        self.urls.absolute(&format!("{PATH}/{provider}/callback"))
    }

    /// Has it keep what a sign-in began with. A cookie of `Lax` comes back with the way back from the provider.
    pub(super) fn keeping(&self, response: Response, begun: &BegunFlow) -> Response {
        self.with_cookie(response, begun.sealed.expose_secret(), begun.lifetime)
    }

    /// Has it forget that.
    pub(super) fn forgetting(&self, response: Response) -> Response {
        self.with_cookie(response, "", Duration::ZERO)
    }

    fn with_cookie(&self, mut response: Response, value: &str, lifetime: Duration) -> Response {
        let secure = if self.urls.is_secure() { "; Secure" } else { "" };
        let age = lifetime.as_secs();
        let text = format!("{COOKIE}={value}; Path={PATH}; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
        if let Ok(mut cookie) = HeaderValue::from_str(&text) {
            cookie.set_sensitive(true);
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

//! A real provider of identities (OpenID Connect) on this test's own address, written by others in another language, and a
//! browser that signs in there.

use std::{collections::BTreeMap, env, path::PathBuf, process::Command};

use reqwest::{Client, Method, RequestBuilder, header, redirect::Policy};
use tempfile::TempDir;

use crate::{
    Service, address,
    process::Process,
    raw::{Answer, read},
};

const PORT: u16 = 4000;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/setup/provider/provider.mjs");

/// Redirects that a browser follows one after the other, at most.
const MOST_REDIRECTS: usize = 10;

/// A running provider.
#[derive(Debug)]
pub struct Provider {
    process: Process,
    #[expect(dead_code, reason = "it goes with the provider")]
    directory: TempDir,
}

impl Provider {
    /// Starts a provider that knows the hub of this test.
    ///
    /// # Panics
    /// If it does not start; `./test` installs it.
    pub fn start() -> Self {
        let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache/bucket");
        let tools = env::var_os("TEST_CACHE").map_or_else(home, PathBuf::from).join("tools/provider");
        let directory = tempfile::Builder::new().prefix("provider").tempdir().unwrap();
        let edges = [Service::Bucket, Service::Edge2].map(Service::listens_at);

        let mut command = Command::new("node");
        command.arg(SCRIPT).arg(tools).arg(address::of_this_process().to_string()).arg(PORT.to_string());
        for name in ["acme", "corp"] {
            command.args(edges.map(|edge| format!("http://{edge}/api/v1/providers/{name}/callback")));
        }
        let process =
            Process::start("provider", command, &directory.path().join("log"), "the provider listens");
        Self { process, directory }
    }

    /// What it is called.
    pub fn issuer() -> String {
        format!("http://{}", address::with_port(PORT))
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// The token of a workload, which shows its secret there, for an audience.
    ///
    /// # Panics
    /// If it gets none.
    pub async fn workload_token(&self, audience: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("resource", audience), ("scope", "push")];
        let request = Client::new().post(format!("{}/token", Self::issuer())).form(&form);
        let request = request.basic_auth("build-17", Some("the+secret+of+a+build"));
        let answer = read(request.send().await.unwrap()).await.expect(200);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// A browser: it keeps cookies and follows redirects, as far as a test lets it.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

/// Where a browser has come to.
#[derive(Debug)]
pub struct Page {
    /// Its address.
    pub url: String,
    /// What is there.
    pub answer: Answer,
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    /// A browser without cookies.
    ///
    /// # Panics
    /// If there can be none.
    pub fn new() -> Self {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        Self { client, cookies: BTreeMap::new() }
    }

    /// A cookie that it keeps.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Keeps a cookie of another browser in place of its own.
    pub fn take_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// Loads one page, and follows nothing.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn load(&mut self, url: &str) -> Answer {
        let request = self.client.request(Method::GET, url);
        self.send(request).await
    }

    /// Keeps what an answer to somebody else's request says, as a page of the hub that has asked.
    pub fn keep_from(&mut self, answer: &Answer) {
        self.keep(answer.header("set-cookie"));
    }

    /// Goes to an address and on to where that leads, but not into `but`.
    ///
    /// # Panics
    /// If it leads around and around.
    pub async fn go(&mut self, url: &str, but: &str) -> Page {
        let answer = self.load(url).await;
        self.follow(url, answer, but).await
    }

    /// Signs in at the provider's page where it was sent; answers the address that it is sent back to.
    ///
    /// # Panics
    /// If the provider has another opinion.
    pub async fn sign_in_at(&mut self, url: &str, who: &str) -> String {
        let back = "/api/v1/providers/";
        let page = self.go(url, back).await;
        if page.url.contains(back) {
            // It has signed in there before.
            return page.url;
        }
        let html = String::from_utf8(page.answer.body.to_vec()).unwrap();
        let action = html.split("action=\"").nth(1).and_then(|rest| rest.split('"').next());
        let action = action.unwrap_or_else(|| panic!("no form in {html}")).to_owned();
        let form = [("prompt", "login"), ("login", who), ("password", "any")];
        let request = self.client.request(Method::POST, &action).form(&form);
        let answer = self.send(request).await;
        let page = self.follow(&action, answer, back).await;
        assert!(page.url.contains(back), "{page:?}");
        page.url
    }

    async fn follow(&mut self, url: &str, answer: Answer, but: &str) -> Page {
        let mut page = Page { url: url.to_owned(), answer };
        for _ in 0..MOST_REDIRECTS {
            if !page.answer.status.is_redirection() {
                return page;
            }
            let base = reqwest::Url::parse(&page.url).unwrap();
            let next = base.join(page.answer.header("location")).unwrap().to_string();
            if next.contains(but) {
                return Page { url: next, answer: page.answer };
            }
            page = Page { answer: self.load(&next).await, url: next };
        }
        panic!("it leads around and around: {page:?}");
    }

    async fn send(&mut self, request: RequestBuilder) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(header::COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            self.keep(cookie.to_str().unwrap());
        }
        read(response).await
    }

    fn keep(&mut self, cookie: &str) {
        let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        if value.is_empty() {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

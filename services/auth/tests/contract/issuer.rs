//! An issuer of tokens on a port of this machine: it answers what OpenID Connect asks of one, and gives whatever identity
//! a test puts into its mouth. A whole provider, of others, is in the tests of the whole hub.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// An issuer, gone when it is dropped.
pub(crate) struct Issuer {
    pub(crate) url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    url: Mutex<String>,
    keys: Mutex<Vec<Value>>,
    /// What the token endpoint gives for a code.
    codes: Mutex<BTreeMap<String, String>>,
    userinfo: Mutex<Value>,
    asked: Mutex<Vec<String>>,
    reads: AtomicUsize,
}

/// What an issuer signs with.
pub(crate) struct Key {
    name: String,
    key: EncodingKey,
}

impl Key {
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.name.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { url: Mutex::new(url.clone()), ..Shared::default() });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { url, shared, serving }
    }

    /// A key that it publishes from now on.
    pub(crate) fn new_key(&self, name: &str) -> Key {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": name, "use": "sig" });
        self.shared.keys.lock().unwrap().push(public);
        let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
        Key { name: name.to_owned(), key }
    }

    /// Gives this identity token for this code.
    pub(crate) fn give(&self, code: &str, token: String) {
        self.shared.codes.lock().unwrap().insert(code.to_owned(), token);
    }

    /// What it gives for a code.
    pub(crate) fn given(&self, code: &str) -> String {
        self.shared.codes.lock().unwrap()[code].clone()
    }

    /// Answers nobody any more.
    pub(crate) fn stop(&self) {
        self.serving.abort();
    }

    /// Says this to whoever has an access token.
    pub(crate) fn say(&self, userinfo: Value) {
        *self.shared.userinfo.lock().unwrap() = userinfo;
    }

    /// How many times its keys were read.
    pub(crate) fn reads(&self) -> usize {
        self.shared.reads.load(Ordering::SeqCst)
    }

    /// What it was sent for tokens.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = answer(stream, &shared).await;
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut request = Vec::new();
    let (head, body) = loop {
        let mut read = [0; 4096];
        let length = stream.read(&mut read).await?;
        request.extend_from_slice(&read[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let announced =
                lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if length == 0 || body.len() >= announced.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        }
    };

    let (status, document) = shared.document(&head, &body);
    let text = document.to_string();
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
    stream.write_all(format!("{head}{text}").as_bytes()).await
}

impl Shared {
    fn document(&self, head: &str, body: &str) -> (u16, Value) {
        let url = self.url.lock().unwrap().clone();
        match head.split(' ').nth(1).unwrap_or_default() {
            "/.well-known/openid-configuration" => (
                200,
                json!({
                    "issuer": url,
                    "jwks_uri": format!("{url}/keys"),
                    "authorization_endpoint": format!("{url}/auth?tenant=x"),
                    "token_endpoint": format!("{url}/token"),
                    "userinfo_endpoint": format!("{url}/me"),
                }),
            ),
            "/keys" => {
                self.reads.fetch_add(1, Ordering::SeqCst);
                (200, json!({ "keys": *self.keys.lock().unwrap() }))
            }
            "/me" => (200, self.userinfo.lock().unwrap().clone()),
            "/token" => {
                self.asked.lock().unwrap().push(format!("{head}\n{body}"));
                let given = body.split('&').find_map(|pair| pair.strip_prefix("code="));
                match given.and_then(|code| self.codes.lock().unwrap().get(code).cloned()) {
                    Some(token) => (200, json!({ "id_token": token, "access_token": "access" })),
                    None => (400, json!({ "error": "invalid_grant" })),
                }
            }
            _ => (404, json!({})),
        }
    }
}

//! The management API as a user of a hub: JSON in, JSON out, a name with a password or secret.

use reqwest::Method;
use serde_json::Value;

use crate::{
    Hub,
    raw::{ADMIN, Answer, PASSWORD, Raw, read},
};

/// Somebody at the management API of a hub.
#[derive(Debug, Clone)]
pub struct Api {
    raw: Raw,
    user: String,
    secret: String,
}

impl Api {
    /// The administrator.
    pub fn administrator(hub: &Hub) -> Self {
        Self { raw: hub.raw(), user: ADMIN.to_owned(), secret: PASSWORD.to_owned() }
    }

    /// A new user, whom the administrator makes.
    ///
    /// # Panics
    /// If there is one already.
    pub async fn new_user(hub: &Hub, name: &str) -> Self {
        let password = format!("the password of a user, {}", name.len());
        let account = serde_json::json!({ "name": name, "password": password });
        let _ = Self::administrator(hub).post("/users", account).await.expect(201);
        Self { raw: hub.raw(), user: name.to_owned(), secret: password }
    }

    /// The same client with another name and secret.
    #[must_use]
    pub fn as_somebody(&self, user: &str, secret: &str) -> Self {
        Self { raw: self.raw.clone(), user: user.to_owned(), secret: secret.to_owned() }
    }

    /// The name that it uses.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password or secret that it uses.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Reads something.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// Makes something.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Puts something in its place.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// Changes something.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// Removes something.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// A token of the registry for a scope, or the refusal.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn token(&self, scope: &str) -> Answer {
        let request = self.raw.anonymous(Method::GET, "/token").query(&[("scope", scope)]);
        read(request.basic_auth(&self.user, Some(&self.secret)).send().await.unwrap()).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.raw.anonymous(method, &format!("/api/v1{path}"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        read(request.basic_auth(&self.user, Some(&self.secret)).send().await.unwrap()).await
    }
}

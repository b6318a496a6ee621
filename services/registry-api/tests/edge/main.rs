//! What the edge answers, over services that do as a test tells them. The flows over the real services are
//! tested in the package `tests`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole crate is a test")]

mod access;
mod accounts;
mod blobs;
mod delivery;
mod errors;
mod history;
mod hub;
mod lists;
mod manifests;
mod moved;
mod referrers;
mod repositories;
mod revocations;
mod routes;
mod self_service;
mod services;
mod tokens;
mod uploads;
mod usage;
mod world;

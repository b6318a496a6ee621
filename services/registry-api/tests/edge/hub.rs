//! The management API.

mod askers;
mod audit;
mod document;
mod federation;
mod lists;
mod moves;
mod operations;
mod refusals;
mod secrets;
mod self_service;
mod usage;

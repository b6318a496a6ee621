//! The management API.

mod askers;
mod audit;
mod document;
mod lists;
mod moves;
mod operations;
mod refusals;
mod secrets;
mod self_service;
mod usage;

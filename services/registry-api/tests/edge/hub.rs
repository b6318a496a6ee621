//! The management API.

mod askers;
mod document;
mod lists;
mod operations;
mod refusals;
mod secrets;

//! The management API.

mod askers;
mod audit;
mod document;
mod lists;
mod operations;
mod refusals;
mod secrets;

//! The whole hub in one process: each service is handed the others themselves, where the separate binaries
//! are handed clients.

pub mod assemble;
pub mod banner;
pub mod config;
pub mod operator;
pub mod secrets;

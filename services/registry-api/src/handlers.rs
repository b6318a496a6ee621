//! What is done for each target and method, one file for each noun.

pub(crate) mod base;
pub(crate) mod blobs;
pub(crate) mod catalog;
pub(crate) mod extensions;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod manifests;
pub(crate) mod referrers;
pub(crate) mod repositories;
pub(crate) mod tags;
pub(crate) mod token;
pub(crate) mod uploads;

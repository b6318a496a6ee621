//! Fuzzes what `tests/properties/manifest.rs` checks.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a failure is what it looks for")]

#[path = "../../tests/properties/manifest.rs"]
mod manifest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| manifest::check(input));

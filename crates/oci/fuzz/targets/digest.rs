//! Fuzzes what `tests/properties/digest.rs` checks.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a failure is what it looks for")]

#[path = "../../tests/properties/digest.rs"]
mod digest;
#[allow(dead_code, reason = "each target needs a part of it")]
#[path = "../../tests/properties/grammar.rs"]
mod grammar;

libfuzzer_sys::fuzz_target!(|input: &[u8]| digest::check(input));

//! Fuzzes what `tests/properties/pattern.rs` checks.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a failure is what it looks for")]

#[allow(dead_code, reason = "each target needs a part of it")]
#[path = "../../tests/properties/grammar.rs"]
mod grammar;
#[path = "../../tests/properties/pattern.rs"]
mod pattern;

libfuzzer_sys::fuzz_target!(|input: &[u8]| pattern::check(input));

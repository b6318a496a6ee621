//! auth suite

//! blob suite

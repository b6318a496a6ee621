//! metadata/repositories suite

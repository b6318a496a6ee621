//! metadata/uploads suite

//! metadata/accounts suite

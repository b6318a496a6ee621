//! What a new account is called, by what the provider calls its user.

use oci::AccountName;

/// The name that is nearest to what a claim says; none: there is none near.
pub(crate) fn account_name(claim: &str) -> Option<AccountName> {
    // Of an e-mail address, what stands before the host. Whose it is says nothing here: names are not identities.
    let text = claim.split('@').next().unwrap_or_default().to_lowercase();
    if let Ok(name) = text.parse() {
        return Some(name);
    }

    let parts = text.split(|character: char| !character.is_ascii_alphanumeric());
    let joined: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let mut joined = joined.join("-");
    joined.truncate(64);
    joined.trim_end_matches('-').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::account_name;

    #[test]
    fn a_name_is_what_the_claim_says_or_near_it() {
        let long = "x".repeat(70);
        for (claim, name) in [
            ("ann", Some("ann")),
            ("Ann.Lee", Some("ann.lee")),
            ("ann@example.com", Some("ann")),
            ("Ann Lee", Some("ann-lee")),
            ("_ann_", Some("ann")),
            ("jörg", Some("j-rg")),
            ("ACME\\ann", Some("acme-ann")),
            ("", None),
            ("@example.com", None),
            ("日本", None),
            (&long, Some(&long[..64])),
        ] {
            assert_eq!(account_name(claim).as_ref().map(oci::AccountName::as_str), name, "{claim}");
        }
    }
}

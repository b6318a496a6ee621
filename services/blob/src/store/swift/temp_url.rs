//! Addresses that open one object for a time: Swift's own `tempurl`. The key is one that the container or the account knows.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::config::Address;
use crate::store::PublicUrl;

/// The address at `endpoint` of what is at `path`, readable until `expires`.
pub(super) fn signed(
    (algorithm, key): (hmac::Algorithm, &SecretString),
    endpoint: &Address,
    path: &str,
    expires: Timestamp,
) -> PublicUrl {
    let expires = expires.as_second();
    let key = hmac::Key::new(algorithm, key.expose_secret().as_bytes());
    let tag = hmac::sign(&key, format!("GET\n{expires}\n{path}").as_bytes());

    let mut url = format!("{}?temp_url_sig=", endpoint.below(path));
    for byte in tag.as_ref() {
        // Writing to a text does not fail.
        let _ = write!(url, "{byte:02x}");
    }
    let _ = write!(url, "&temp_url_expires={expires}");
    PublicUrl::new(url)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use jiff::Timestamp;

    use super::{Address, signed};

    // printf 'GET\n1440619048\n/v1/AUTH_account/container/object' | openssl dgst -sha1 -hmac mykey
    const SHA1: &str = "da720a7e11f9f2c7b0fe46039811229c1c7a9cb4";
    // The same with -sha256.
    const SHA256: &str = "9ef8c448d4184fd16dd4013a1e3349149f895555655621dbf6d6a166f585af72";

    #[test]
    fn an_address_is_signed_as_swift_does_it() {
        let endpoint = Address::try_from("https://swift.example.com".to_owned()).unwrap();
        let expires = Timestamp::from_second(1_440_619_048).unwrap();
        for (algorithm, signature) in
            [(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SHA1), (hmac::HMAC_SHA256, SHA256)]
        {
            let path = "/v1/AUTH_account/container/object";
            let url = signed((algorithm, &"mykey".into()), &endpoint, path, expires);
            let address = format!("https://swift.example.com{path}");
            let expected = format!("{address}?temp_url_sig={signature}&temp_url_expires=1440619048");
            assert_eq!(url.as_str(), expected);
            assert!(!format!("{url:?}").contains(signature));
        }
    }
}

//! Secrets that are made here instead of being chosen: a kind, and 256 random bits that nobody guesses. What is kept
//! of one is its SHA-256 (docs/decisions/0006).

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use proto::metadata::credentials::{Holder, SecretHash};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;

/// What all secrets begin with, so that no chosen password may.
pub(crate) const BEGINNING: &str = "bucket_";

const KINDS: [&str; 4] = ["bucket_pat_", "bucket_robot_", "bucket_session_", "bucket_refresh_"];

/// A new secret for `holder`, which nobody else will ever see, and what is kept of it.
pub(crate) fn made(holder: &Holder, random: &dyn Random) -> (SecretString, SecretHash) {
    let [access_token, robot, session, refresh] = KINDS;
    let kind = match holder {
        Holder::User(_) => access_token,
        Holder::Robot(_) => robot,
        Holder::Session(_) => session,
        Holder::Offline { .. } => refresh,
    };
    let mut bits = [0_u8; 32];
    random.fill(&mut bits);

    let mut secret = String::with_capacity(kind.len() + 64);
    secret.push_str(kind);
    for byte in bits {
        let _ = write!(secret, "{byte:02x}");
    }
    let kept = hash(&secret);
    (SecretString::from(secret), kept)
}

/// What is kept of what was given as a password, if it is a secret. Passwords that begin as all secrets do, from the
/// time before there were any, are still passwords.
pub(crate) fn hash_of_secret(given: &SecretString) -> Option<SecretHash> {
    let given = given.expose_secret();
    KINDS.iter().any(|kind| given.starts_with(kind)).then(|| hash(given))
}

fn hash(secret: &str) -> SecretHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::{hash_of_secret, made};
    use proto::metadata::credentials::Holder;
    use secrecy::ExposeSecret as _;
    use service_kit::random::SeededRandom;

    #[test]
    fn a_secret_is_its_kind_and_64_digits_and_never_the_same() {
        let random = SeededRandom::new(3);
        for (holder, kind) in [
            (Holder::User("ann".parse().unwrap()), "bucket_pat_"),
            (Holder::Robot("ann+ci".parse().unwrap()), "bucket_robot_"),
            (Holder::Session("ann".parse().unwrap()), "bucket_session_"),
            (Holder::Offline { user: "ann".parse().unwrap(), through: None }, "bucket_refresh_"),
        ] {
            let [(one, kept), (two, _)] = [made(&holder, &random), made(&holder, &random)];
            let digits = one.expose_secret().strip_prefix(kind).unwrap();
            assert_eq!(digits.len(), 64);
            assert!(digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
            assert_ne!(one.expose_secret(), two.expose_secret());
            assert_eq!(hash_of_secret(&one), Some(kept));
        }
    }

    #[test]
    fn the_hash_is_the_sha_256_of_the_whole_text() {
        // printf bucket_pat_00 | sha256sum
        let hash = hash_of_secret(&"bucket_pat_00".into()).unwrap();
        let text = format!("{hash:02x?}").replace(['[', ']', ',', ' '], "");
        assert_eq!(text, "a087c3e6efc3f89ffcb5b0eb141dfc66698f641b5088b94d171078b1240799b5");
    }

    #[test]
    fn a_password_is_no_secret() {
        for password in ["", "correct horse", "bucket_", "bucket_password", "Bucket_pat_00", " bucket_pat_00"]
        {
            assert_eq!(hash_of_secret(&password.into()), None, "{password}");
        }
    }
}

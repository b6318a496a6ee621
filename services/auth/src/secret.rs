//! Secrets that are made here instead of being chosen: a kind, and 256 random bits that nobody guesses. What is kept
//! of one is its SHA-256 (docs/decisions/0006).

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use oci::{AccountName, CredentialId};
use proto::metadata::credentials::{Holder, SecretHash};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;

use crate::sealing::Sealer;

/// What all secrets begin with, so that no chosen password may.
pub(crate) const BEGINNING: &str = "bucket_";

/// What is given for the token of a workload: nothing is kept of it, it says itself for which trust it is and until when.
const WORKLOAD: &str = "bucket_workload_";

/// What the key that seals those is derived for.
pub(crate) const WORKLOADS: &str = "secrets of workloads, 1";

/// The characters of a ULID.
const ID: usize = 26;
const INVITATION: &str = "bucket_invitation_";

/// Of 256 bits.
const DIGITS: usize = 64;

const KINDS: [&str; 5] = ["bucket_pat_", "bucket_robot_", "bucket_session_", "bucket_refresh_", WORKLOAD];

/// A new secret for `holder`, which nobody else will ever see, and what is kept of it.
pub(crate) fn made(holder: &Holder, random: &dyn Random) -> (SecretString, SecretHash) {
    let [access_token, robot, session, refresh, _] = KINDS;
    let kind = match holder {
        Holder::User(_) => access_token,
        Holder::Robot(_) => robot,
        Holder::Session(_) => session,
        Holder::Offline { .. } => refresh,
    };
    let secret = format!("{kind}{}", digits(random));
    let kept = hash(&secret);
    (SecretString::from(secret), kept)
}

/// What is kept of what was given as a password, if it is a secret. Passwords that begin as all secrets do, from the
/// time before there were any, are still passwords.
pub(crate) fn hash_of_secret(given: &SecretString) -> Option<SecretHash> {
    let given = given.expose_secret();
    KINDS.iter().any(|kind| given.starts_with(kind)).then(|| hash(given))
}

/// A secret that stands for a trust until it ends; none if the library refuses.
pub(crate) fn of_workload(
    sealer: &Sealer,
    trust: &CredentialId,
    expires: Timestamp,
    random: &dyn Random,
) -> Option<SecretString> {
    let plain = format!("{trust}{}", expires.as_millisecond());
    Some(SecretString::from(format!("{WORKLOAD}{}", sealer.text(plain.as_bytes(), random).ok()?)))
}

/// What is kept of the trust that a secret stands for now; none: it is no such secret, or has ended.
pub(crate) fn trust_of(sealer: &Sealer, given: &SecretString, now: Timestamp) -> Option<SecretHash> {
    let opened = sealer.open_text(given.expose_secret().strip_prefix(WORKLOAD)?).ok()?;
    let (trust, expires) = std::str::from_utf8(&opened).ok()?.split_at_checked(ID)?;
    let expires = Timestamp::from_millisecond(expires.parse().ok()?).ok()?;
    if now < expires { sealer.derived(trust).ok() } else { None }
}

/// A secret for a mail to `user`, and what is kept of it. It says whose it is, so that none has to be looked for.
pub(crate) fn mailed(user: &AccountName, random: &dyn Random) -> (SecretString, SecretHash) {
    let secret = format!("{}.{user}", digits(random));
    let kept = hash(&secret);
    (SecretString::from(secret), kept)
}

/// Whose a secret is that came back from a mail, and what is kept of it; none: it is no such secret.
pub(crate) fn of_mail(given: &SecretString) -> Option<(AccountName, SecretHash)> {
    let given = given.expose_secret().trim();
    let (digits, user) = given.split_once('.')?;
    let is_one = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_one.then(|| Some((user.parse().ok()?, hash(given)))).flatten()
}

/// A secret for whoever is invited, and what is kept of it.
pub(crate) fn invitation(random: &dyn Random) -> (SecretString, SecretHash) {
    let secret = format!("{INVITATION}{}", digits(random));
    let kept = hash(&secret);
    (SecretString::from(secret), kept)
}

/// What is kept of the secret of an invitation.
pub(crate) fn of_invitation(given: &SecretString) -> SecretHash {
    hash(given.expose_secret().trim())
}

fn digits(random: &dyn Random) -> String {
    let mut bits = [0_u8; DIGITS / 2];
    random.fill(&mut bits);
    bits.iter().fold(String::with_capacity(DIGITS), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// The SHA-256 of a text that may be secret.
pub(crate) fn hash(secret: &str) -> SecretHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::{
        WORKLOADS, hash_of_secret, invitation, made, mailed, of_invitation, of_mail, of_workload, trust_of,
    };
    use crate::sealing::Sealer;
    use jiff::Timestamp;
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
    fn the_secret_of_a_workload_stands_for_its_trust_until_it_ends() {
        let (sealer, random) = (Sealer::new(&"a secret of many".into(), WORKLOADS), SeededRandom::new(3));
        let (trust, ends) =
            ("01JD0000000000000000000001".parse().unwrap(), Timestamp::constant(1_767_225_600, 0));
        let secret = of_workload(&sealer, &trust, ends, &random).unwrap();
        let before = Timestamp::constant(1_767_225_599, 0);

        assert!(secret.expose_secret().starts_with("bucket_workload_") && secret.expose_secret().len() < 160);
        assert_eq!(trust_of(&sealer, &secret, before), sealer.derived("01JD0000000000000000000001").ok());
        assert_eq!(trust_of(&sealer, &secret, ends), None);
        let foreign = Sealer::new(&"another secret".into(), WORKLOADS);
        assert_eq!(trust_of(&foreign, &secret, before), None);
        assert_eq!(trust_of(&sealer, &"bucket_workload_00".into(), before), None);
        assert!(hash_of_secret(&secret).is_some(), "no password looks like it");
    }

    #[test]
    fn a_secret_of_a_mail_says_whose_it_is() {
        let (random, user) = (SeededRandom::new(3), "ann.b-c".parse().unwrap());
        let (secret, kept) = mailed(&user, &random);
        assert_eq!(of_mail(&secret), Some((user.clone(), kept)));
        assert_eq!(of_mail(&format!(" {}\n", secret.expose_secret()).as_str().into()), Some((user, kept)));
        assert_ne!(of_mail(&secret.expose_secret().replace("ann", "bob").as_str().into()).unwrap().1, kept);
        for none in ["", ".ann", "00.ann", "ann", &"0".repeat(64), &format!("{}.No Name", "0".repeat(64))] {
            assert_eq!(of_mail(&none.into()), None, "{none}");
        }
    }

    #[test]
    fn a_secret_of_an_invitation_is_no_password_and_no_credential() {
        let (secret, kept) = invitation(&SeededRandom::new(3));
        assert!(secret.expose_secret().starts_with("bucket_invitation_"));
        assert_eq!((of_invitation(&secret), hash_of_secret(&secret)), (kept, None));
    }

    #[test]
    fn a_password_is_no_secret() {
        for password in ["", "correct horse", "bucket_", "bucket_password", "Bucket_pat_00", " bucket_pat_00"]
        {
            assert_eq!(hash_of_secret(&password.into()), None, "{password}");
        }
    }
}

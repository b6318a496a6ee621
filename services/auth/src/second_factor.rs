//! Time-based codes (RFC 6238: SHA-1, six digits, 30 seconds, one step of skew, as authenticator apps have them) and
//! recovery codes. What was used is not known here: metadata decides that, for all replicas.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use oci::AccountName;
use proto::{
    auth::self_service::ProposedFactor,
    metadata::{
        credentials::SecretHash,
        proofs::{Code, MAX_RECOVERY_CODES, SecondFactor},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;
use totp_rs::{Builder, Secret, Totp};

use crate::{authenticate::LoginError, operator, sealing::Sealer};

/// RFC 4226 §4 recommends 160 bits.
const SECRET_BYTES: usize = 20;

const DIGITS: usize = 6;

/// Of a recovery code, without what separates its groups.
const RECOVERY_CHARACTERS: usize = 20;

/// Makes second factors and checks their codes.
pub(crate) struct SecondFactors {
    sealer: Sealer,
    issuer: String,
}

impl SecondFactors {
    /// `issuer` is what apps call the hub.
    pub(crate) fn new(secret: &SecretString, issuer: &str) -> Self {
        // Colons separate it from the name of the user.
        let issuer = issuer.replace(':', " ");
        Self { sealer: Sealer::new(secret, "second factors, 1"), issuer }
    }

    /// A new one for `user`: as it is kept, and as it is shown once.
    pub(crate) fn made(
        &self,
        user: &AccountName,
        random: &dyn Random,
    ) -> Result<(SecondFactor, ProposedFactor), LoginError> {
        let attempted = "making a second factor";
        let mut secret = [0; SECRET_BYTES];
        random.fill(&mut secret);
        let sealed = self.sealer.seal(user.as_str().as_bytes(), &secret, random);
        let sealed_secret = sealed.map_err(|_| LoginError::Unavailable { attempted })?.into();

        let totp = self.totp(user, secret)?;
        let url = totp.to_url().map_err(|error| {
            tracing::error!(%error, attempted);
            LoginError::Unavailable { attempted }
        })?;
        let secret = SecretString::from(totp.secret().to_base32());
        Ok((SecondFactor { sealed_secret }, ProposedFactor { secret, url: url.into() }))
    }

    /// What `typed` is, if it may be a code of that second factor now; none: it is wrong.
    pub(crate) fn code(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        typed: &SecretString,
        now: Timestamp,
    ) -> Result<Option<Code>, LoginError> {
        let plain = plain(typed);
        if has_digits(&plain) {
            return Ok(self.step(user, factor, &plain, now)?.map(Code::Step));
        }
        let is_recovery_code = plain.chars().count() == RECOVERY_CHARACTERS;
        Ok(is_recovery_code.then(|| Code::Recovery(hash(&plain))))
    }

    /// The time step that a code is of.
    fn step(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        digits: &str,
        now: Timestamp,
    ) -> Result<Option<u64>, LoginError> {
        let attempted = "opening a second factor";
        let opened = self.sealer.open(user.as_str().as_bytes(), &factor.sealed_secret);
        let secret = opened.ok().and_then(|opened| <[u8; SECRET_BYTES]>::try_from(opened).ok());
        let secret = secret.ok_or_else(|| {
            tracing::error!(%user, "a second factor was sealed with another key_secret, or is damaged");
            LoginError::Unavailable { attempted }
        })?;

        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        Ok(self.totp(user, secret)?.check(digits, seconds))
    }

    fn totp(&self, user: &AccountName, secret: [u8; SECRET_BYTES]) -> Result<Totp, LoginError> {
        let builder = Builder::new()
            .with_secret(Secret::new_stack(secret))
            .with_account_name(user.as_str())
            .with_issuer(Some(self.issuer.as_str()));
        builder.build().map_err(|error| {
            tracing::error!(%error, "a second factor cannot be used");
            LoginError::Unavailable { attempted: "using a second factor" }
        })
    }
}

/// Whether somebody has typed what an app shows: there are so few of them that they can be guessed.
pub(crate) fn is_of_an_app(typed: &SecretString) -> bool {
    has_digits(&plain(typed))
}

fn has_digits(plain: &str) -> bool {
    plain.len() == DIGITS && plain.bytes().all(|byte| byte.is_ascii_digit())
}

fn plain(typed: &SecretString) -> String {
    typed.expose_secret().chars().filter(|c| !c.is_whitespace() && *c != '-').collect()
}

/// Recovery codes, and what is kept of them: a hundred random bits each, so that a plain hash is enough.
pub(crate) fn recovery_codes(random: &dyn Random) -> (Vec<SecretString>, Vec<SecretHash>) {
    let codes: Vec<SecretString> = (0..MAX_RECOVERY_CODES).map(|_| operator::password(random)).collect();
    let hashes = codes.iter().map(|code| hash(&code.expose_secret().replace('-', ""))).collect();
    (codes, hashes)
}

// However somebody has typed it.
fn hash(code: &str) -> SecretHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, code.to_lowercase().as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use oci::AccountName;
    use proto::metadata::proofs::{Code, SecondFactor};
    use secrecy::ExposeSecret as _;
    use service_kit::random::{Random, SeededRandom};

    use super::{SecondFactors, recovery_codes};
    use crate::authenticate::LoginError;

    /// The secret of RFC 6238 appendix B.
    #[derive(Debug)]
    struct OfTheRfc;

    impl Random for OfTheRfc {
        fn fill(&self, bytes: &mut [u8]) {
            let ascii = b"12345678901234567890".iter().cycle();
            bytes.iter_mut().zip(ascii).for_each(|(byte, digit)| *byte = *digit);
        }
    }

    fn ann() -> AccountName {
        "ann".parse().unwrap()
    }

    fn factors() -> SecondFactors {
        SecondFactors::new(&"a secret for tests".into(), "Bucket: the hub")
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn of_the_rfc() -> SecondFactor {
        factors().made(&ann(), &OfTheRfc).unwrap().0
    }

    fn code(typed: &str, seconds: i64) -> Option<Code> {
        factors().code(&ann(), &of_the_rfc(), &typed.into(), at(seconds)).unwrap()
    }

    #[test]
    fn the_codes_are_the_last_six_digits_of_those_of_rfc_6238() {
        for (seconds, digits) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = u64::try_from(seconds / 30).unwrap();
            assert_eq!(code(digits, seconds), Some(Code::Step(step)), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_before_and_after_its_own() {
        let good = (0..150).filter(|seconds| code("287082", *seconds) == Some(Code::Step(1)));
        assert_eq!(good.collect::<Vec<_>>(), (0..90).collect::<Vec<_>>());
        assert_eq!(code("287 082", 59), Some(Code::Step(1)), "as apps show it");
        for wrong in ["287083", "28708", "2870822", "", "+87082", "２８７０８２"] {
            assert_eq!(code(wrong, 59), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_is_told_all_it_needs() {
        let (_, shown) = factors().made(&ann(), &OfTheRfc).unwrap();
        assert_eq!(shown.secret.expose_secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let url = shown.url.expose_secret();
        assert!(url.starts_with("otpauth://totp/Bucket%20%20the%20hub:ann?"), "{url}");
        assert!(url.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{url}");
        assert!(url.contains("issuer=Bucket%20%20the%20hub"), "{url}");
    }

    #[test]
    fn a_second_factor_is_its_users_and_its_hubs() {
        let foreign = LoginError::Unavailable { attempted: "opening a second factor" };
        let bob = "bob".parse().unwrap();
        let moved = factors().code(&bob, &of_the_rfc(), &"287082".into(), at(59));
        assert_eq!(moved, Err(foreign.clone()));
        let elsewhere = SecondFactors::new(&"another secret".into(), "bucket");
        let opened = elsewhere.code(&ann(), &of_the_rfc(), &"287082".into(), at(59));
        assert_eq!(opened, Err(foreign));
    }

    #[test]
    fn a_recovery_code_is_found_however_it_is_typed() {
        let (codes, hashes) = recovery_codes(&SeededRandom::new(1));
        assert_eq!((codes.len(), hashes.len()), (10, 10));
        let shown = codes[3].expose_secret();
        for typed in [shown.to_owned(), shown.to_uppercase(), shown.replace('-', " "), format!(" {shown}\n")]
        {
            assert_eq!(code(&typed, 59), Some(Code::Recovery(hashes[3])), "{typed}");
        }
    }
}

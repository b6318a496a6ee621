//! What an operator makes for people and programs without asking who they are: passwords and secrets. Where they are
//! kept, and whether they may be, is not known here.

use proto::metadata::credentials::{Holder, SecretHash};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;

use crate::{
    config::PasswordConfig,
    password::{self, HashError},
    secret,
};

/// A password that nobody has seen: 20 characters of 32, a hundred bits, in groups, without those that look alike.
pub fn password(random: &dyn Random) -> SecretString {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0_u8; 20];
    random.fill(&mut bytes);

    let characters: Vec<char> =
        bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    let groups: Vec<String> = characters.chunks(5).map(|group| group.iter().collect()).collect();
    SecretString::from(groups.join("-"))
}

/// The PHC string to keep instead of `password`. Takes tens of milliseconds of CPU.
///
/// # Errors
/// The library refused the salt or the parameters.
pub fn password_hash(
    password: &SecretString,
    config: &PasswordConfig,
    random: &dyn Random,
) -> Result<SecretString, HashError> {
    password::hash_with(&config.params(), password.expose_secret(), password::salt(random))
}

/// A secret for `holder`, and what is kept of it.
pub fn secret(holder: &Holder, random: &dyn Random) -> (SecretString, SecretHash) {
    secret::made(holder, random)
}

#[cfg(test)]
mod tests {
    use super::password;
    use secrecy::ExposeSecret as _;
    use service_kit::random::SeededRandom;

    #[test]
    fn a_generated_password_has_four_groups_of_five_and_is_never_the_same() {
        let random = SeededRandom::new(1);
        let (one, two) = (password(&random), password(&random));
        assert_ne!(one.expose_secret(), two.expose_secret());
        assert_eq!(one.expose_secret().split('-').map(str::len).collect::<Vec<_>>(), [5, 5, 5, 5]);
    }
}

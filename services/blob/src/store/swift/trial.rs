//! What a container must do, tried once at the start: better than during somebody's push.

use std::time::Duration;

use oci::Span;

use super::{Swift, container::Written, failure::Failure};
use crate::store::StoreError;

/// How long the address is good that is tried.
const LIFETIME: Duration = Duration::from_mins(1);

/// Writes something, once only, reads a piece of it, also as a client would, and removes it. What the container cannot do,
/// if anything.
pub(super) async fn lack(swift: &Swift) -> Result<Option<String>, StoreError> {
    let (key, container) = (swift.check_key(), swift.container());
    // A process of the same name may have ended in its trial.
    container.remove(&key).await?;
    container.put_first(&key, "a trial").await?;
    let again = container.put_first(&key, "one more").await?;
    let read = container.clone().read(&key, Span { first: 2, length: 3 }).await?;
    let opened = is_open(swift, &key).await.map_err(|failure| failure.of("trying an address of", &key))?;
    container.remove(&key).await?;

    if again != Written::Before {
        return Ok(Some("it does not heed `If-None-Match: *`".to_owned()));
    }
    if read.is_none_or(|object| object.size_bytes != 7) {
        return Ok(Some("it does not give what has just been written there".to_owned()));
    }
    let name = container.name();
    let unknown = format!(
        "it does not know `temp_url_key`: tell it by `swift post {name} -m 'Temp-URL-Key:…'`, or leave `public_endpoint` out"
    );
    Ok((!opened).then_some(unknown))
}

/// Whether an address that is signed for `key` opens it, at Swift itself; where none are signed, it need not.
async fn is_open(swift: &Swift, key: &str) -> Result<bool, Failure> {
    let account = swift.container().account().await?;
    match swift.signed(key, &account, LIFETIME, Some(&account.origin_alone())) {
        Some(url) => swift.container().is_open(url.as_str()).await,
        None => Ok(true),
    }
}

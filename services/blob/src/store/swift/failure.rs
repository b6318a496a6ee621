//! What goes wrong with Swift and Keystone: whether it is worth another attempt, and what it is to the service and to the
//! operator who must do something about it.

use std::{io, time::Duration};

use service_kit::exchange::{Answer, ExchangeError};

use crate::store::StoreError;

/// Longer pauses that a server asks for are not kept: whoever waits for us would not.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server has answered, and not done it.
    #[error("{}", said(*.status))]
    Answered {
        status: u16,
        /// For how long it wants to be left alone.
        pause: Option<Duration>,
    },
    /// No whole answer came.
    #[error(transparent)]
    Unanswered(#[from] ExchangeError),
    /// It will not be done; in words for the operator.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// What `answer` says, which is not what was asked for.
    pub(super) fn answered(answer: &Answer) -> Self {
        let pause = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
        Self::Answered { status: answer.status(), pause: pause.map(Duration::from_secs) }
    }

    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Unanswered(_) | Self::Refused(_) => None,
        }
    }

    /// How long to wait until it is attempted again, `usually`; none if another attempt would end as this one. What is
    /// asked here can all be asked twice.
    pub(super) fn pause(&self, usually: Duration) -> Option<Duration> {
        match self {
            Self::Answered { status: 408 | 425 | 429 | 498 | 500 | 502..=504, pause } => {
                Some(pause.unwrap_or(usually).clamp(usually, LONGEST_PAUSE.max(usually)))
            }
            Self::Unanswered(ExchangeError::Unanswered(_)) => Some(usually),
            Self::Answered { .. } | Self::Unanswered(_) | Self::Refused(_) => None,
        }
    }

    /// The error of attempting something with the object `key`.
    pub(super) fn of(&self, attempted: &str, key: &str) -> StoreError {
        match self.status() {
            Some(413 | 507) => StoreError::NoSpace,
            _ => unavailable(attempted, key, &self.to_string()),
        }
    }
}

/// The error of attempting something with the object `key`, with a cause in our own words.
pub(super) fn unavailable(attempted: &str, key: &str, cause: &str) -> StoreError {
    StoreError::Unavailable {
        attempted: format!("{attempted} {key}"),
        cause: io::Error::other(cause.to_owned()),
    }
}

/// What a status is, and what an operator can do about it.
fn said(status: u16) -> String {
    let advice = match status {
        401 => {
            "the token that was just given is refused; see whether Swift and its identity service know each other"
        }
        403 => "the user may not do that; it needs a role that may read and write in the container",
        404 => "there is no such container any more; make it again",
        409 => "a segment of the object is not what it was",
        413 | 507 => "there is no room left: the quota is used up, or the disks are full",
        422 => "other bytes have arrived than were sent",
        429 | 498 => "the store asks for fewer requests",
        500..=599 => "the store cannot do it now",
        _ => return format!("the store answered {status}"),
    };
    format!("{advice} ({status})")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Failure, StoreError};

    const USUALLY: Duration = Duration::from_millis(100);

    fn answered(status: u16, pause: Option<u64>) -> Failure {
        Failure::Answered { status, pause: pause.map(Duration::from_secs) }
    }

    #[test]
    fn what_is_full_is_full_and_what_can_be_mended_is_said() {
        for status in [413, 507] {
            assert!(matches!(answered(status, None).of("writing", "tmp/x"), StoreError::NoSpace));
        }
        for (status, expected) in
            [(403, "needs a role"), (498, "fewer requests"), (418, "the store answered 418")]
        {
            let said = answered(status, None).of("writing", "tmp/x").to_string();
            assert!(said.starts_with("writing tmp/x: ") && said.contains(expected), "{said}");
        }
    }

    #[test]
    fn only_what_may_go_well_is_attempted_again_and_no_pause_is_without_end() {
        let second = Duration::from_secs(1);
        assert_eq!(answered(503, None).pause(USUALLY), Some(USUALLY));
        assert_eq!(answered(498, Some(1)).pause(USUALLY), Some(second));
        assert_eq!(answered(429, Some(86_400)).pause(USUALLY), Some(10 * second));
        for status in [400, 401, 403, 404, 412, 413, 422, 507] {
            assert_eq!(answered(status, Some(1)).pause(USUALLY), None, "{status}");
        }
    }
}

//! Places where a test can end the process as `kill -9` does. Without the feature `failpoints` they cost nothing.

/// A place with a name: the process ends here if the place is armed and its count has come.
#[inline]
pub fn hit(name: &str) {
    #[cfg(feature = "failpoints")]
    armed::hit(name);
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

/// Arms one place: `name` for its first hit, `name:3` for its third.
pub fn arm(setting: &str) {
    #[cfg(feature = "failpoints")]
    armed::arm(setting);
    #[cfg(not(feature = "failpoints"))]
    let _ = setting;
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::{Mutex, PoisonError};

    use rustix::process::{Signal, getpid, kill_process};

    static ARMED: Mutex<Option<Armed>> = Mutex::new(None);

    struct Armed {
        name: String,
        hits_left: u32,
    }

    pub(super) fn arm(setting: &str) {
        let counted = setting.rsplit_once(':').and_then(|(name, hits)| Some((name, hits.parse().ok()?)));
        let (name, hits_left) = counted.unwrap_or((setting, 1));
        tracing::warn!(failpoint = name, hit = hits_left, "armed");
        *ARMED.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Armed { name: name.to_owned(), hits_left });
    }

    pub(super) fn hit(name: &str) {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(armed) = armed.as_mut().filter(|armed| armed.name == name) else {
            return;
        };

        armed.hits_left = armed.hits_left.saturating_sub(1);
        if armed.hits_left == 0 {
            // Nothing runs after this: no destructor, no flush, no answer.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}

//! What is read from files, and again when they change: keys and certificates are exchanged without a restart. What
//! cannot be read leaves what was read before, and says so in the log.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use tokio::{fs::File, io::AsyncReadExt as _, select, time::sleep};

use crate::shutdown::Shutdown;

/// Between two looks at the files.
const EVERY: Duration = Duration::from_secs(5);

/// A file of more is not what is meant.
const LONGEST_BYTES: u64 = 1024 * 1024;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system does not give it.
    #[error("reading {}: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// What is in it is something else.
    #[error("{}: {why}", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Makes something of the contents of files, in their order; says in which is something wrong, and what.
pub(crate) type Read<T> = Box<dyn Fn(&[Vec<u8>]) -> Result<T, (usize, String)> + Send + Sync>;

/// Something that is in files.
pub(crate) struct Reloaded<T> {
    files: Vec<PathBuf>,
    read: Read<T>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
}

/// What the files held when they were looked at last; none: they could not be read.
type Seen = Option<Vec<u8>>;

impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloaded").field("files", &self.files).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// One cannot be used.
    pub(crate) async fn open(files: Vec<PathBuf>, read: Read<T>) -> Result<Self, FileError> {
        let contents = contents(&files).await?;
        let first = made(&files, &read, &contents)?;
        let seen = Mutex::new(Some(digest_of(&contents)));
        Ok(Self { files, read, current: ArcSwap::from_pointee(first), seen })
    }

    /// As it was when it could be read last.
    pub(crate) fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Looks at the files now and then: a task of the process.
    pub(crate) async fn kept_fresh(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            select! {
                () = shutdown.stopping() => return,
                () = sleep(EVERY) => self.look().await,
            }
        }
    }

    /// Reads them again if they have changed.
    pub(crate) async fn look(&self) {
        let contents = match contents(&self.files).await {
            Ok(contents) => contents,
            Err(error) => {
                // Once, and not every few seconds.
                if self.sees(None) {
                    tracing::warn!(%error, "a file cannot be read again; what it held before still counts");
                }
                return;
            }
        };
        if !self.sees(Some(digest_of(&contents))) {
            return;
        }
        match made(&self.files, &self.read, &contents) {
            Ok(read) => {
                self.current.store(Arc::new(read));
                tracing::info!(files = ?self.files, "read again, because it has changed");
            }
            Err(error) => {
                tracing::warn!(%error, "a file has changed and cannot be used; what it held before still counts");
            }
        }
    }

    /// Whether that is something else than before.
    fn sees(&self, now: Seen) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let new = *seen != now;
        *seen = now;
        new
    }
}

async fn contents(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, FileError> {
    let mut contents = Vec::with_capacity(files.len());
    for file in files {
        let read =
            bounded(file).await.map_err(|error| FileError::Unreadable { file: file.clone(), error })?;
        contents.push(read);
    }
    Ok(contents)
}

async fn bounded(file: &PathBuf) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let read = File::open(file).await?.take(LONGEST_BYTES + 1).read_to_end(&mut content).await?;
    if read as u64 > LONGEST_BYTES {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok(content)
}

fn made<T>(files: &[PathBuf], read: &Read<T>, contents: &[Vec<u8>]) -> Result<T, FileError> {
    read(contents).map_err(|(index, why)| FileError::Unusable { file: files[index].clone(), why })
}

// Instead of the contents: one of them may be a private key.
fn digest_of(contents: &[Vec<u8>]) -> Vec<u8> {
    let mut digest = Context::new(&SHA256);
    for content in contents {
        digest.update(&content.len().to_be_bytes());
        digest.update(content);
    }
    digest.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::{FileError, Read, Reloaded};
    use std::fs;

    fn number() -> Read<u32> {
        Box::new(|contents| {
            let text = String::from_utf8_lossy(&contents[0]);
            text.trim().parse().map_err(|error: std::num::ParseIntError| (0, error.to_string()))
        })
    }

    #[tokio::test]
    async fn what_changes_is_read_again_and_what_cannot_be_read_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("number");
        fs::write(&file, "1").unwrap();
        let reloaded = Reloaded::open(vec![file.clone()], number()).await.unwrap();
        assert_eq!(*reloaded.current(), 1);

        fs::write(&file, "2").unwrap();
        reloaded.look().await;
        assert_eq!(*reloaded.current(), 2);
        fs::write(&file, "none").unwrap();
        reloaded.look().await;
        assert_eq!(*reloaded.current(), 2);
        fs::remove_file(&file).unwrap();
        reloaded.look().await;
        assert_eq!(*reloaded.current(), 2);

        // As a volume of secrets is changed: another file comes to its place.
        let new = directory.path().join("new");
        fs::write(&new, "3").unwrap();
        fs::rename(&new, &file).unwrap();
        reloaded.look().await;
        assert_eq!(*reloaded.current(), 3);
    }

    #[tokio::test]
    async fn at_first_it_must_be_readable() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("number");
        let absent = Reloaded::open(vec![file.clone()], number()).await.unwrap_err();
        assert!(matches!(absent, FileError::Unreadable { .. }) && absent.to_string().contains("number"));

        for wrong in [b"x".to_vec(), vec![b'1'; 1024 * 1024 + 1]] {
            fs::write(&file, wrong).unwrap();
            let refused = Reloaded::open(vec![file.clone()], number()).await.unwrap_err();
            assert!(refused.to_string().contains("number"), "{refused}");
        }
    }
}

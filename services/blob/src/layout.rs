//! Where things are in a store: the only file that spells a path or the name of an object.
//! It does not know whether names are files or objects.

// uploads/<session>/<offset>-<generation>                      a part, written once by one append
// blobs/<algorithm>/<first two hex>/<hex>-<generation>         content
// blobs/<algorithm>/<first two hex>/<hex>-<generation>-<sign>  content sealed under the key called <sign>
// tmp/<generation>                                             what is not committed yet, on disks only
// bucket-store                                                 which store a directory is, on disks only
//
// 256 directories for each algorithm keep listings short, and are made at the start: a new blob syncs one directory, and
// no path of directories. A generation never comes back, so no name does.

use std::fmt;

use oci::{Algorithm, ContentId, Generation, SessionId};

/// The name of an object: the same in every store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    path: String,
    generation: Generation,
}

/// Where a directory keeps what is not committed yet.
pub(crate) const TEMPORARY: &str = "tmp";

/// The file that says which store a directory is.
pub(crate) const MARKER: &str = "bucket-store";

const UPLOADS: &str = "uploads";
const BLOBS: &str = "blobs";

impl ObjectName {
    /// The part of `session` that begins at `offset`.
    pub fn part(session: &SessionId, offset: u64, generation: &Generation) -> Self {
        let path = format!("{}/{offset}-{generation}", upload(session));
        Self { path, generation: generation.clone() }
    }

    /// The bytes of `content` that one upload of it has brought.
    pub fn content(content: &ContentId, generation: &Generation) -> Self {
        let (algorithm, hex) = (content.digest.algorithm(), content.digest.hex());
        let (shard, _) = hex.split_at_checked(2).unwrap_or((hex, ""));
        // Behind the generation, because a sign alone may be `..`.
        let sign = content.sign.as_ref().map(|sign| format!("-{sign}")).unwrap_or_default();
        let path = format!("{BLOBS}/{algorithm}/{shard}/{hex}-{generation}{sign}");
        Self { path, generation: generation.clone() }
    }

    /// What an object called `path` is; none if no store of ours has made it.
    pub(crate) fn parse(path: &str) -> Option<(Self, Named)> {
        let parts: Vec<&str> = path.split('/').collect();
        let (name, named) = match parts[..] {
            [UPLOADS, session, part] => {
                let (offset, generation) = part.split_once('-')?;
                let session = session.parse().ok()?;
                let name = Self::part(&session, offset.parse().ok()?, &generation.parse().ok()?);
                (name, Named::Part(session))
            }
            [BLOBS, algorithm, _, last] => {
                let (hex, rest) = last.split_once('-')?;
                let (generation, sign) =
                    rest.split_once('-').map_or((rest, None), |(generation, sign)| (generation, Some(sign)));
                let sign = sign.map(str::parse).transpose().ok()?;
                let content = ContentId { digest: format!("{algorithm}:{hex}").parse().ok()?, sign };
                let generation = generation.parse().ok()?;
                (Self::content(&content, &generation), Named::Content(content, generation))
            }
            _ => return None,
        };
        (name.path == path).then_some((name, named))
    }

    /// Whether it is a part of an upload. Parts of one upload lie in a directory of their own.
    pub(crate) fn is_part(&self) -> bool {
        self.path.starts_with(UPLOADS)
    }

    /// The name, relative to the store and with `/` between its parts.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// What the object is called until it is committed. Unique, because its generation is.
    pub(crate) fn temporary(&self) -> String {
        format!("{TEMPORARY}/{}", self.generation)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// A part of this session.
    Part(SessionId),
    /// Content, as one upload has brought it.
    Content(ContentId, Generation),
}

/// A part of a store whose objects can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The parts of all uploads.
    Uploads,
    /// The content of a digest's algorithm whose hex begins so.
    Contents(Algorithm, u8),
}

impl Place {
    /// All places with content, in order.
    pub fn all_contents() -> impl ExactSizeIterator<Item = Self> {
        let places = [Algorithm::Sha256, Algorithm::Sha512]
            .map(|algorithm| (0..=u8::MAX).map(move |shard| Self::Contents(algorithm, shard)));
        places.into_iter().flatten().collect::<Vec<_>>().into_iter()
    }

    /// What the names of its objects begin with, without the `/` behind it.
    pub(crate) fn prefix(self) -> String {
        match self {
            Self::Uploads => UPLOADS.to_owned(),
            Self::Contents(algorithm, shard) => format!("{BLOBS}/{algorithm}/{shard:02x}"),
        }
    }
}

/// What the names of all parts of `session` begin with, without the `/` behind it.
pub(crate) fn upload(session: &SessionId) -> String {
    format!("{UPLOADS}/{session}")
}

/// What a self check writes under `generation`, and what it links that to.
pub(crate) fn self_check(generation: &Generation) -> [String; 3] {
    ["written", "renamed", "linked"].map(|step| format!("{TEMPORARY}/{generation}-{step}"))
}

/// The directories that every store on a disk has, parents first.
pub(crate) fn directories() -> impl Iterator<Item = String> {
    let shards = [Algorithm::Sha256, Algorithm::Sha512].into_iter().flat_map(|algorithm| {
        let parent = format!("{BLOBS}/{algorithm}");
        let shards = (0..=u8::MAX).map(move |shard| format!("{BLOBS}/{algorithm}/{shard:02x}"));
        std::iter::once(parent).chain(shards)
    });
    [TEMPORARY, UPLOADS, BLOBS].map(str::to_owned).into_iter().chain(shards)
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use oci::Digest;
    use proptest::prelude::{Strategy, any, proptest};

    use super::{Named, ObjectName, directories};

    const GENERATION: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    fn generations() -> impl Strategy<Value = String> {
        "[0-7][0-9A-HJKMNP-TV-Z]{25}"
    }

    #[test]
    fn content_lies_in_one_of_the_256_directories_of_its_algorithm() {
        let digest = Digest::of_sha256(b"abc");
        let content = oci::ContentId::plain(digest);

        let name = ObjectName::content(&content, &GENERATION.parse().unwrap());

        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(name.as_str(), format!("blobs/sha256/ba/{hex}-{GENERATION}"));
        assert!(directories().any(|directory| directory == "blobs/sha256/ba"));
    }

    #[test]
    fn a_part_lies_with_its_session() {
        let session = "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap();

        let name = ObjectName::part(&session, 7, &GENERATION.parse().unwrap());

        assert_eq!(name.as_str(), format!("uploads/6ba7b810-9dad-11d1-80b4-00c04fd430c8/7-{GENERATION}"));
    }

    #[test]
    fn a_name_says_what_it_is_called_for() {
        let session = "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap();
        let generation = GENERATION.parse().unwrap();
        let part = ObjectName::part(&session, 7, &generation);
        let found = ObjectName::parse(part.as_str());
        assert_eq!(found, Some((part, Named::Part(session))));

        let sign = Some("key-1".parse().unwrap());
        for content in [None, sign].map(|sign| oci::ContentId { digest: Digest::of_sha256(b"abc"), sign }) {
            let name = ObjectName::content(&content, &generation);
            let named = Named::Content(content, generation.clone());
            assert_eq!(ObjectName::parse(name.as_str()), Some((name, named)));
        }
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let misplaced = format!("blobs/sha256/00/{hex}-{GENERATION}");
        for foreign in ["tmp/x", "uploads/x/y", "lost+found", misplaced.as_str(), "blobs/sha256/ba/../x"] {
            assert_eq!(ObjectName::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_directory_comes_after_its_parent() {
        let directories: Vec<String> = directories().collect();

        for (at, directory) in directories.iter().enumerate() {
            if let Some((parent, _)) = directory.rsplit_once('/') {
                assert!(directories[..at].iter().any(|earlier| earlier == parent), "{directory}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_name_never_leaves_the_store(
            bytes in any::<Vec<u8>>(), sign in "[A-Za-z0-9._-]{1,64}", sealed in any::<bool>(), generation in generations()
        ) {
            let sign = sealed.then(|| sign.parse().unwrap());
            let content = oci::ContentId { digest: Digest::of_sha256(&bytes), sign };

            let name = ObjectName::content(&content, &generation.parse().unwrap());

            let depth = Path::new(name.as_str()).components().count();
            assert!(Path::new(name.as_str()).components().all(|part| matches!(part, Component::Normal(_))));
            assert_eq!(depth, 4, "{name}");
        }

        #[test]
        fn different_content_has_different_names(
            one in any::<(u8, Option<u8>)>(), other in any::<(u8, Option<u8>)>(),
            generation in generations(), another in generations()
        ) {
            let name = |(byte, sign): (u8, Option<u8>), generation: &str| {
                let sign = sign.map(|sign| format!("key-{sign}").parse().unwrap());
                let content = oci::ContentId { digest: Digest::of_sha256(&[byte]), sign };
                ObjectName::content(&content, &generation.parse().unwrap())
            };

            let same = name(one, &generation) == name(other, &another);

            assert_eq!(same, one == other && generation == another);
        }
    }
}

//! Where things are in a store: the only file that spells a path or the name of an object.
//! It does not know whether names are files or objects.

// uploads/<session>/<offset>-<generation>                      a part, written once by one append
// blobs/<algorithm>/<first two hex>/<hex>-<generation>         content
// blobs/<algorithm>/<first two hex>/<hex>-<generation>-<sign>  content sealed under the key called <sign>
// tmp/<generation>                                             what is not committed yet, on disks only
// tmp/<generation>-<step>                                      what a check of the store writes and removes
// bucket-store                                                 which store a directory or bucket is; of a bucket, also whose
//
// In object stores, where bytes are written before anybody knows their digest and cannot be renamed:
// data/<generation>/content                                    the bytes of content; its name under blobs/ is a small object
// data/<generation>/<hash>-blobs-<algorithm>-…                 which name these bytes are for, and how they end
// uploads/<session>/open-<generation>                          which multipart upload makes the bytes of <generation>
//
// In Swift, where content has as many objects as segments, and one that lists them:
// data/<generation>/<number>-<generation of the part>          a segment of the content of <generation>, written once by one append
// data/<generation>/claimed, data/<generation>/confirmed       which name the segments are for, if several could claim them
// data/<generation>/blobs-<algorithm>-…                        the content with that name: its bytes, or the list of its segments
// uploads/<session>/open-<generation>                          that there are, or were, segments for <generation>
//
// A cache of contents has one directory, with `+` for `/` in their names:
//
// blobs+<algorithm>+<first two hex>+…                          a copy of content
// partial+<number>+blobs+…                                     one that is being fetched, under a number of its own
// lock                                                         whose directory it is
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

/// What says which store a directory, bucket or container is.
pub(crate) const MARKER: &str = "bucket-store";

/// The file that the process holds whose cache a directory is.
pub(crate) const CACHE_LOCK: &str = "lock";

/// What the name of a copy begins with that is being fetched.
pub(crate) const CACHE_PARTIAL: &str = "partial+";

const UPLOADS: &str = "uploads";
const BLOBS: &str = "blobs";
const DATA: &str = "data";
const OPEN: &str = "open-";

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
            [UPLOADS, session, last] => {
                let session = session.parse().ok()?;
                (Self::within(&session, last)?, Named::Part(session))
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

    /// What an object called `last` is among the parts of `session`.
    fn within(session: &SessionId, last: &str) -> Option<Self> {
        if let Some(generation) = last.strip_prefix(OPEN) {
            return Some(Self::opened(session, &generation.parse().ok()?));
        }
        let (offset, generation) = last.split_once('-')?;
        Some(Self::part(session, offset.parse().ok()?, &generation.parse().ok()?))
    }

    /// What says by which multipart upload the parts of `session` become the bytes of `generation`.
    pub(crate) fn opened(session: &SessionId, generation: &Generation) -> Self {
        let path = format!("{}/{OPEN}{generation}", upload(session));
        Self { path, generation: generation.clone() }
    }

    /// Whether it says so.
    pub(crate) fn is_opened(&self) -> bool {
        self.is_part() && self.path.rsplit('/').next().is_some_and(|last| last.starts_with(OPEN))
    }

    /// The session of a part.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match Self::parse(&self.path)?.1 {
            Named::Part(session) => Some(session),
            Named::Content(..) => None,
        }
    }

    /// Where a part begins.
    pub(crate) fn offset(&self) -> Option<u64> {
        let last = self.path.rsplit('/').next().filter(|_| self.is_part())?;
        last.split_once('-')?.0.parse().ok()
    }

    /// The same content, as `generation` brings it.
    pub(crate) fn under(&self, generation: &Generation) -> Option<Self> {
        match Self::parse(&self.path)?.1 {
            Named::Content(content, _) => Some(Self::content(&content, generation)),
            Named::Part(_) => None,
        }
    }

    /// What tells it from all others of its content or session.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Whether it is a part of an upload. Parts of one upload lie in a directory of their own.
    pub(crate) fn is_part(&self) -> bool {
        self.path.starts_with(UPLOADS)
    }

    /// The name, relative to the store and with `/` between its parts.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// What its copy in a cache is called.
    pub(crate) fn cached(&self) -> String {
        self.path.replace('/', "+")
    }

    /// The content whose copy in a cache is called `file`; none if no cache of ours has made it.
    pub(crate) fn of_cached(file: &str) -> Option<Self> {
        let (name, named) = Self::parse(&file.replace('+', "/"))?;
        matches!(named, Named::Content(..)).then_some(name)
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

/// What the names of all that belongs to the bytes of `generation` begin with in an object store.
pub(crate) fn beside(generation: &Generation) -> String {
    format!("{DATA}/{generation}/")
}

/// Where an object store has the bytes of `generation`.
pub(crate) fn data(generation: &Generation) -> String {
    format!("{}content", beside(generation))
}

/// What says that the bytes of its generation are those of `content`, and end as `ending` says: in hex, the same for the
/// same bytes.
pub(crate) fn claim(content: &ObjectName, ending: &str) -> String {
    format!("{}{ending}-{}", beside(&content.generation), content.path.replace('/', "-"))
}

/// Whether `key` claims the bytes of its generation for `content`, however they end.
pub(crate) fn is_claim(key: &str, content: &ObjectName) -> bool {
    let claim = key.strip_prefix(&beside(&content.generation)).and_then(|claim| claim.split_once('-'));
    claim.is_some_and(|(_, claimed)| claimed == content.path.replace('/', "-"))
}

/// What begins the names of all bytes, parts and contents of an object store.
pub(crate) fn prefixes() -> [String; 3] {
    [UPLOADS, BLOBS, DATA].map(|place| format!("{place}/"))
}

/// The segment with the number `index` of the bytes of `generation`, as the part `by` has brought it.
pub(crate) fn segment(generation: &Generation, index: usize, by: &Generation) -> String {
    format!("{}{index:06}-{by}", beside(generation))
}

/// Where those who would have the segments of `generation` say so first, and where they do so again.
pub(crate) fn claims(generation: &Generation) -> [String; 2] {
    ["claimed", "confirmed"].map(|step| format!("{}{step}", beside(generation)))
}

/// Where Swift has `content` itself, whoever else has the same segments.
pub(crate) fn own(content: &ObjectName) -> String {
    format!("{}{}", beside(&content.generation), content.path.replace('/', "-"))
}

/// What checks write in an object store, in the process that is called `generation`.
pub(crate) fn check(generation: &Generation) -> String {
    format!("{TEMPORARY}/{generation}-check")
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

    use super::{Named, ObjectName, claim, data, directories, is_claim};

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

        let opened = ObjectName::opened(&session, &generation);
        let found = ObjectName::parse(opened.as_str());
        assert!(opened.is_opened() && opened.offset().is_none());
        assert_eq!(found, Some((opened, Named::Part(session))));

        let sign = Some("key-1".parse().unwrap());
        for content in [None, sign].map(|sign| oci::ContentId { digest: Digest::of_sha256(b"abc"), sign }) {
            let name = ObjectName::content(&content, &generation);
            let named = Named::Content(content, generation.clone());
            assert_eq!(ObjectName::of_cached(&name.cached()), Some(name.clone()));
            assert_eq!(ObjectName::of_cached(&format!("{}{}", super::CACHE_PARTIAL, name.cached())), None);
            assert_eq!(ObjectName::parse(name.as_str()), Some((name, named)));
        }
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let misplaced = format!("blobs/sha256/00/{hex}-{GENERATION}");
        for foreign in ["tmp/x", "uploads/x/y", "lost+found", misplaced.as_str(), "blobs/sha256/ba/../x"] {
            assert_eq!(ObjectName::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_claim_is_of_one_content_however_the_bytes_end() {
        let generation = GENERATION.parse().unwrap();
        let plain = oci::ContentId::plain(Digest::of_sha256(b"abc"));
        let sealed = oci::ContentId { sign: Some("key-1".parse().unwrap()), ..plain.clone() };
        let [plain, sealed] = [plain, sealed].map(|content| ObjectName::content(&content, &generation));

        let (one, other) = (claim(&plain, "0a"), claim(&plain, "0b"));

        assert!(one != other && is_claim(&one, &plain) && is_claim(&other, &plain));
        assert!(!is_claim(&one, &sealed) && !is_claim(&claim(&sealed, "0a"), &plain));
        assert!(!is_claim(&data(&generation), &plain));
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

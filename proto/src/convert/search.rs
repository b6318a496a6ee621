//! What is looked for, and what was found, as messages.

use oci::NamespacePath;

use super::{BadField, Wire, at_most, parsed, parsed_option, printed, read, read_all, written_all};
use crate::{
    metadata::{
        credentials::RepositoryPattern,
        repositories::{
            Found, FoundRepository, Reader, RepositoryEntry, WantedSearch, search::LONGEST_SUMMARY,
        },
    },
    wire,
};

impl Wire for WantedSearch {
    type Message = wire::SearchRequest;

    fn to_message(&self) -> wire::SearchRequest {
        let (reader, name) = match &self.reader {
            Reader::Outsider => (wire::Reader::Outsider, String::new()),
            Reader::User(name) => (wire::Reader::User, name.to_string()),
            Reader::Robot(namespace) => (wire::Reader::Robot, namespace.to_string()),
            Reader::Administrator => (wire::Reader::Administrator, String::new()),
        };
        wire::SearchRequest {
            reader: reader.into(),
            name,
            within: pattern_texts(&self.within),
            under: printed(self.under.as_ref()),
            query: printed(self.query.as_ref()),
            after: printed(self.after.as_ref()),
            limit: u32::try_from(self.limit).unwrap_or(u32::MAX),
        }
    }

    fn from_message(message: wire::SearchRequest) -> Result<Self, BadField> {
        let wire::SearchRequest { reader, name, within, under, query, after, limit } = message;
        Ok(Self {
            reader: reader_of(reader, &name)?,
            within: patterns("within", within)?,
            under: parsed_option::<NamespacePath>("under", under.as_deref())?,
            query: parsed_option("query", query.as_deref())?,
            after: parsed_option("after", after.as_deref())?,
            limit: usize::try_from(limit).map_err(|why| BadField::unreadable("limit", why))?,
        })
    }
}

fn reader_of(reader: i32, name: &str) -> Result<Reader, BadField> {
    match wire::Reader::try_from(reader) {
        Ok(wire::Reader::Outsider) => Ok(Reader::Outsider),
        Ok(wire::Reader::User) => parsed("name", name).map(Reader::User),
        Ok(wire::Reader::Robot) => parsed("name", name).map(Reader::Robot),
        Ok(wire::Reader::Administrator) => Ok(Reader::Administrator),
        _ => Err(BadField::unreadable("reader", format_args!("no value has number {reader}"))),
    }
}

pub(crate) fn pattern_texts(patterns: &[RepositoryPattern]) -> Vec<String> {
    patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()
}

pub(crate) fn patterns(field: &'static str, texts: Vec<String>) -> Result<Vec<RepositoryPattern>, BadField> {
    let pattern =
        |text| RepositoryPattern::try_from(text).map_err(|error| BadField::unreadable(field, error));
    texts.into_iter().map(pattern).collect()
}

impl Wire for FoundRepository {
    type Message = wire::FoundRepository;

    fn to_message(&self) -> wire::FoundRepository {
        wire::FoundRepository { repository: Some(self.entry.to_message()), summary: self.summary.clone() }
    }

    fn from_message(message: wire::FoundRepository) -> Result<Self, BadField> {
        let wire::FoundRepository { repository, summary } = message;
        let summary = at_most("summary", LONGEST_SUMMARY, summary)?;
        Ok(Self { entry: read::<RepositoryEntry>("repository", repository)?, summary })
    }
}

impl Wire for Found {
    type Message = wire::SearchResponse;

    fn to_message(&self) -> wire::SearchResponse {
        wire::SearchResponse {
            repositories: written_all(&self.repositories),
            next: printed(self.next.as_ref()),
        }
    }

    fn from_message(message: wire::SearchResponse) -> Result<Self, BadField> {
        let wire::SearchResponse { repositories, next } = message;
        Ok(Self { repositories: read_all(repositories)?, next: parsed_option("next", next.as_deref())? })
    }
}

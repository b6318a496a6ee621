//! Indexing repositories of earlier releases, which knew no words and did not list what was granted to whom.

use bytes::Bytes;
use oci::{AccountName, RepositoryName};
use proto::metadata::repositories::Viewer;

use crate::{
    ATTEMPTS, Outcome, Service,
    failure::next,
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Error, Mutation, RANGE_LIMIT},
    placement::{Placement, Target, belongs},
    step,
    words::{Entry, Words},
};

impl Service {
    /// Indexes all repositories, unless this or a later release has. What an earlier one makes afterwards, the walk of
    /// reclaim finds.
    pub(crate) async fn prepare_words(&self) -> Result<(), Error> {
        let indexed = (keys::SCHEMA, field::INDEXED);
        if self.fields(std::slice::from_ref(&indexed)).await?.pop().flatten().is_some() {
            return Ok(());
        }

        let mut after: Option<RepositoryName> = None;
        loop {
            let names = self.names_behind(Viewer::Administrator, after.as_ref(), RANGE_LIMIT).await?;
            let placed = names.iter().cloned().zip(self.placements(&names).await?);
            let placed: Vec<_> = placed.filter_map(|(name, place)| Some((name, place?))).collect();
            self.index(&placed).await?;
            after = names.last().filter(|_| names.len() == RANGE_LIMIT).cloned();
            if after.is_none() {
                break;
            }
        }
        let (key, field) = indexed;
        let commit = Commit::synced().then(Mutation::SetField(key, field, "words".into()));
        let _unconditional = self.commit(step!("prepare_words"), commit).await?;
        Ok(())
    }

    /// Indexes those of the repositories that never were, or that a crash has left with other words.
    pub(crate) async fn index(&self, repositories: &[(RepositoryName, Placement)]) -> Result<(), Error> {
        let asked = |place: &Placement| {
            [field::NAME, field::WORDS, field::DESCRIPTION].map(|field| (keys::state(place.id), field))
        };
        let asked: Vec<_> = repositories.iter().flat_map(|(_, place)| asked(place)).collect();
        let mut values = self.fields(&asked).await?.into_iter();
        for (name, place) in repositories {
            let [called, words, described] = [(); 3].map(|()| next(&mut values));
            let right = words.is_some() && Words::read(words.as_ref()) == words_for(name, described.as_ref());
            if !right && belongs(called.as_ref(), name) {
                self.index_one(Entry { name, place: *place }).await?;
            }
        }
        Ok(())
    }

    /// Who changes it meanwhile has indexed it, or it is found again the next time.
    async fn index_one(&self, entry: Entry<'_>) -> Result<(), Error> {
        let Entry { name, place } = entry;
        let state = keys::state(place.id);
        for _ in 0..ATTEMPTS {
            let asked =
                [field::DESCRIPTION, field::GRANTED, field::WORDS].map(|field| (state.clone(), field));
            let mut values = self.fields(&asked).await?.into_iter();
            let [described, granted, words] = [(); 3].map(|()| next(&mut values));
            let (kept, right) = (Words::read(words.as_ref()), words_for(name, described.as_ref()));
            if words.is_some() && kept == right {
                return Ok(());
            }
            let grants = self.grants_listed(name, place.id).await?;

            let commit = Commit::relaxed()
                .when_all(Target::Existing(place).conditions(name))
                .when(Condition::unchanged(state.clone(), field::WORDS, words))
                .when(Condition::unchanged(state.clone(), field::DESCRIPTION, described))
                .when(Condition::unchanged(state.clone(), field::GRANTED, granted))
                .then_all(grants)
                .then_all(entry.found_by(&right))
                .then(Mutation::SetField(state.clone(), field::WORDS, right.stored()))
                .then_all(entry.not_found_by(&kept.without(&right)));
            if self.commit(step!("index"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Lists a repository for those who were given a right on it.
    async fn grants_listed(&self, name: &RepositoryName, id: RepositoryId) -> Result<Vec<Mutation>, Error> {
        let grants = self.keyspace().record(&keys::grants(id)).await?.unwrap_or_default();
        let list = |field: &Bytes| match (keys::granted_user(field), keys::granted_team(field)) {
            (Some(user), _) => {
                let user = std::str::from_utf8(user).ok()?.parse::<AccountName>().ok()?;
                Some(keys::user_granted(&user))
            }
            (None, Some(team)) => Some(keys::team_granted(&name.namespace(), team)),
            (None, None) => None,
        };
        let lists = grants.iter().filter_map(|(field, _)| list(field));
        Ok(lists.map(|list| Mutation::AddMember(list, id.to_string().into())).collect())
    }
}

fn words_for(name: &RepositoryName, described: Option<&Bytes>) -> Words {
    Words::of(name, &String::from_utf8_lossy(described.map(|said| &said[..]).unwrap_or_default()))
}

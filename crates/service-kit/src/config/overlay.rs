//! The environment, laid over the table of the file.

use toml::{Table, Value};

use super::{ConfigError, Prefix};

pub(super) struct Overlay(Vec<Entry>);

struct Entry {
    variable: String,
    path: Vec<String>,
    text: String,
    value: Value,
}

impl Overlay {
    pub(super) fn new(prefix: Prefix<'_>, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let entries = environment.into_iter().filter(|(name, _)| !prefix.reserved.contains(&name.as_str()));
        let mut entries: Vec<Entry> = entries
            .filter_map(|(variable, text)| {
                let key = variable.strip_prefix(prefix.variables)?.to_lowercase();
                let path = key.split("__").map(str::to_owned).collect();
                Some(Entry { path, value: parsed(&text), variable, text })
            })
            .collect();
        // A section set as a whole comes before its keys, whatever order the environment has.
        entries.sort_by_key(|entry| (entry.path.len(), entry.variable.clone()));
        Self(entries)
    }

    pub(super) fn apply(&self, table: &mut Table) -> Result<(), ConfigError> {
        self.0.iter().try_for_each(|entry| entry.set(table, entry.value.clone()))
    }

    /// Takes the value of `key` as the text it is written as. False if it is taken so already.
    pub(super) fn as_text(&mut self, key: &str, table: &mut Table) -> bool {
        let Some(entry) = self.0.iter_mut().find(|entry| entry.path.join(".") == key) else {
            return false;
        };
        let text = Value::String(entry.text.clone());
        if entry.value == text {
            return false;
        }
        entry.value = text.clone();
        entry.set(table, text).is_ok()
    }

    /// The variable that set `key`, or something in it, or the section it is in.
    pub(super) fn variable(&self, key: &str) -> Option<&str> {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let set = |entry: &&Entry| within(key, &entry.path.join("."));
        self.0.iter().find(set).map(|entry| entry.variable.as_str())
    }
}

impl Entry {
    fn set(&self, table: &mut Table, value: Value) -> Result<(), ConfigError> {
        let Some((key, sections)) = self.path.split_last() else {
            return Ok(());
        };
        let mut table = table;
        for section in sections {
            let inner = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            table = inner.as_table_mut().ok_or_else(|| ConfigError::NotASection {
                variable: self.variable.clone(),
                section: section.clone(),
            })?;
        }
        table.insert(key.clone(), value);
        Ok(())
    }
}

fn parsed(text: &str) -> Value {
    // A value of several lines would be read as several keys.
    let document = (!text.contains('\n')).then(|| toml::from_str::<Table>(&format!("value = {text}")).ok());
    let value = document.flatten().and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

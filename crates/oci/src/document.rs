//! JSON that all readers read alike. Of a key that stands twice one reader takes the first and another the last,
//! and Go's takes `Layers` for `layers`: two clients would see two images (CVE-2021-41190 is of that kind).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// A JSON value in which no object has a key twice.
pub(crate) struct Document(pub(crate) Value);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Document(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                let shown: String = key.chars().take(64).collect();
                return Err(A::Error::custom(format!("the key {shown:?} stands twice in one object")));
            }
            let Document(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

/// A key of `object` that a reader who ignores case takes for one of `fields`.
pub(crate) fn misspelt<'a>(object: &'a Map<String, Value>, fields: &[&str]) -> Option<&'a str> {
    let taken_for =
        |key: &str| fields.iter().any(|field| key != *field && folded(key).eq(field.to_lowercase().chars()));
    object.keys().map(String::as_str).find(|key| taken_for(key))
}

// Both ways, as Unicode folds: `ſ` is an s, and the sign for kelvin a k.
fn folded(key: &str) -> impl Iterator<Item = char> {
    key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

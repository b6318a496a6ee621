//! Rules as messages.

use oci::TagPattern;

use super::{BadField, Wire, parsed, parsed_all, present, printed_all, read_all, written_all};
use crate::{
    convert::reclaim::{duration, milliseconds},
    metadata::{
        More,
        rules::{Immutable, Preview, Retain, RuleSet, Untagged},
    },
    wire,
};

fn selection(tags: &TagPattern, except: &[TagPattern]) -> wire::TagSelection {
    wire::TagSelection { tags: tags.to_string(), except: printed_all(except) }
}

fn patterns(selection: &wire::TagSelection) -> Result<(TagPattern, Vec<TagPattern>), BadField> {
    Ok((parsed("tags", &selection.tags)?, parsed_all("except", &selection.except)?))
}

impl Wire for Immutable {
    type Message = wire::TagSelection;

    fn to_message(&self) -> wire::TagSelection {
        selection(&self.tags, &self.except)
    }

    fn from_message(message: wire::TagSelection) -> Result<Self, BadField> {
        let (tags, except) = patterns(&message)?;
        Ok(Self { tags, except })
    }
}

impl Wire for Retain {
    type Message = wire::RetainRule;

    fn to_message(&self) -> wire::RetainRule {
        wire::RetainRule {
            of: Some(selection(&self.tags, &self.except)),
            keep_last: self.keep_last,
            within_ms: self.within.map(milliseconds),
            pulled_within_ms: self.pulled_within.map(milliseconds),
        }
    }

    fn from_message(message: wire::RetainRule) -> Result<Self, BadField> {
        let wire::RetainRule { of, keep_last, within_ms, pulled_within_ms } = message;
        let (tags, except) = patterns(&present("of", of)?)?;
        let [within, pulled_within] = [within_ms, pulled_within_ms].map(|time_ms| time_ms.map(duration));
        Ok(Self { tags, except, keep_last, within, pulled_within })
    }
}

impl Wire for Untagged {
    type Message = wire::UntaggedRule;

    fn to_message(&self) -> wire::UntaggedRule {
        wire::UntaggedRule { within_ms: milliseconds(self.within) }
    }

    fn from_message(message: wire::UntaggedRule) -> Result<Self, BadField> {
        Ok(Self { within: duration(message.within_ms) })
    }
}

impl Wire for RuleSet {
    type Message = wire::RuleSet;

    fn to_message(&self) -> wire::RuleSet {
        wire::RuleSet {
            immutable: written_all(self.immutable()),
            retain: written_all(self.retain()),
            untagged: self.untagged().map(Untagged::to_message),
        }
    }

    fn from_message(message: wire::RuleSet) -> Result<Self, BadField> {
        let (immutable, retain) = (read_all(message.immutable)?, read_all(message.retain)?);
        let untagged = message.untagged.map(Untagged::from_message).transpose()?;
        Self::new(immutable, retain, untagged).map_err(|why| BadField::unreadable("rules", why))
    }
}

impl Wire for Preview {
    type Message = wire::PreviewRulesResponse;

    fn to_message(&self) -> wire::PreviewRulesResponse {
        wire::PreviewRulesResponse {
            tags: printed_all(&self.tags),
            manifests: self.manifests,
            untagged: self.untagged,
            size_bytes: self.size_bytes,
            more: self.more.to_message(),
        }
    }

    fn from_message(message: wire::PreviewRulesResponse) -> Result<Self, BadField> {
        let wire::PreviewRulesResponse { tags, manifests, size_bytes, more, untagged } = message;
        let (tags, more) = (parsed_all("tags", &tags)?, More::from_message(more)?);
        Ok(Self { tags, manifests, untagged, size_bytes, more })
    }
}

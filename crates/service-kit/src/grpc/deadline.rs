//! How long a call may take: what its caller says in `grpc-timeout`, and what the server allows.

use std::{collections::HashSet, sync::Arc, time::Duration};

use http::HeaderMap;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};

/// The paths of the methods that stream neither way: only for them has the server an opinion.
#[derive(Debug, Clone, Default)]
pub(super) struct Unary(Arc<HashSet<String>>);

impl Unary {
    /// Reads them from descriptor sets.
    pub(super) fn described(sets: &[&[u8]]) -> Result<Self, prost::DecodeError> {
        let mut paths = HashSet::new();
        for set in sets {
            for file in FileDescriptorSet::decode(*set)?.file {
                paths.extend(file.service.iter().flat_map(|service| unary_paths(&file, service)));
            }
        }
        Ok(Self(Arc::new(paths)))
    }

    /// The time that a call has until its answer begins, if that is limited.
    pub(super) fn limit(&self, path: &str, headers: &HeaderMap, most: Duration) -> Option<Duration> {
        let asked = headers.get("grpc-timeout").and_then(|value| parse(value.to_str().ok()?));
        let allowed = self.0.contains(path).then_some(most);
        asked.into_iter().chain(allowed).min()
    }
}

fn unary_paths(file: &FileDescriptorProto, service: &ServiceDescriptorProto) -> Vec<String> {
    let methods =
        service.method.iter().filter(|method| !method.client_streaming() && !method.server_streaming());
    methods.map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name())).collect()
}

/// At most eight digits and a unit, as the protocol has it.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10S", Some(Duration::from_secs(10)))]
    #[case("2H", Some(Duration::from_hours(2)))]
    #[case("250m", Some(Duration::from_millis(250)))]
    #[case("99999999n", Some(Duration::from_nanos(99_999_999)))]
    #[case("100000000n", None)]
    #[case("10", None)]
    #[case("S", None)]
    #[case("-1S", None)]
    #[case("1ä", None)]
    #[case("", None)]
    fn the_callers_deadline_is_read_as_the_protocol_has_it(
        #[case] text: &str,
        #[case] expected: Option<Duration>,
    ) {
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn only_unary_methods_are_limited_by_the_server() {
        let unary = Unary::described(&[
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
        ])
        .unwrap();
        let most = Duration::from_secs(30);
        let limit = |path, headers: &HeaderMap| unary.limit(path, headers, most);
        let none = HeaderMap::new();
        assert_eq!(limit("/grpc.health.v1.Health/Check", &none), Some(most));
        assert_eq!(limit("/grpc.health.v1.Health/Watch", &none), None);

        let asked = HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), "5S".parse().unwrap())]);
        assert_eq!(limit("/grpc.health.v1.Health/Check", &asked), Some(Duration::from_secs(5)));
        assert_eq!(limit("/grpc.health.v1.Health/Watch", &asked), Some(Duration::from_secs(5)));
    }
}

//! Headers from friend and foe.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use rstest::rstest;

use super::{TrustedProxies, client_address, external_base};

const PROXY: &str = "10.0.0.1";
const STRANGER: &str = "198.51.100.9";

fn trusted() -> TrustedProxies {
    TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()])
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn address(peer: &str, lines: &[(&str, &str)]) -> String {
    client_address(peer.parse().unwrap(), &headers(lines), &trusted()).to_string()
}

fn base(peer: &str, lines: &[(&str, &str)]) -> Option<String> {
    let peer: IpAddr = peer.parse().unwrap();
    external_base(peer, &Uri::from_static("/"), &headers(lines), &trusted(), None)
        .map(|base| base.to_string())
}

#[rstest]
#[case(&[], PROXY)]
#[case(&[("x-forwarded-for", "192.0.2.7")], "192.0.2.7")]
#[case(&[("x-forwarded-for", "1.1.1.1, 192.0.2.7")], "192.0.2.7")]
#[case(&[("x-forwarded-for", "192.0.2.7, 10.9.9.9")], "192.0.2.7")]
#[case(&[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-for", "10.9.9.9")], "192.0.2.7")]
#[case(&[("x-forwarded-for", "10.8.8.8, 10.9.9.9")], "10.8.8.8")]
#[case(&[("x-forwarded-for", "192.0.2.7, unknown, 10.9.9.9")], "10.9.9.9")]
#[case(&[("x-forwarded-for", "192.0.2.7:4711")], "192.0.2.7")]
#[case(&[("x-forwarded-for", "[2001:db8::7]:4711")], "2001:db8::7")]
#[case(&[("x-forwarded-for", "::ffff:192.0.2.7")], "192.0.2.7")]
#[case(&[("forwarded", "for=192.0.2.7;proto=https, for=10.9.9.9")], "192.0.2.7")]
#[case(&[("forwarded", "for=\"[2001:db8::7]:4711\"")], "2001:db8::7")]
#[case(&[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "192.0.2.7")], "192.0.2.7")]
#[case(&[("forwarded", "for=1.1.1.1"), ("x-forwarded-proto", "https")], PROXY)]
fn a_trusted_proxy_says_who_the_client_is(#[case] lines: &[(&str, &str)], #[case] expected: &str) {
    assert_eq!(address(PROXY, lines), expected);
}

#[rstest]
#[case("x-forwarded-for", "192.0.2.7")]
#[case("forwarded", "for=192.0.2.7")]
fn a_stranger_speaks_for_itself_only(#[case] name: &str, #[case] value: &str) {
    assert_eq!(address(STRANGER, &[(name, value)]), STRANGER);
}

#[rstest]
#[case(&[("host", "hub.example")], Some("http://hub.example"))]
#[case(&[("host", "hub"), ("x-forwarded-proto", "https")], Some("https://hub"))]
#[case(&[("host", "up:9911"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "hub.example")], Some("https://hub.example"))]
#[case(&[("host", "hub"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "443")], Some("https://hub"))]
#[case(&[("host", "hub"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "8443")], Some("https://hub:8443"))]
#[case(&[("host", "hub:5000"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "8443")], Some("https://hub:5000"))]
#[case(&[("host", "up"), ("forwarded", "for=192.0.2.7;proto=https;host=\"hub:8443\", for=10.9.9.9;proto=http;host=inner")], Some("https://hub:8443"))]
#[case(&[("host", "up"), ("forwarded", "for=1.1.1.1;host=forged, for=192.0.2.7;proto=https;host=hub")], Some("https://hub"))]
#[case(&[("host", "up"), ("forwarded", "proto=https;host=forged"), ("x-forwarded-proto", "http")], Some("http://up"))]
#[case(&[("host", "up"), ("x-forwarded-host", "user@hub")], Some("http://up"))]
#[case(&[("host", "up"), ("x-forwarded-proto", "gopher")], Some("http://up"))]
#[case(&[("x-forwarded-proto", "https")], None)]
#[case(&[("host", "a b")], None)]
fn a_trusted_proxy_says_where_we_are(#[case] lines: &[(&str, &str)], #[case] expected: Option<&str>) {
    assert_eq!(base(PROXY, lines).as_deref(), expected);
}

#[test]
fn forwarded_headers_of_a_stranger_are_ignored() {
    let lines = [
        ("host", "hub"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "forged"),
        ("forwarded", "host=forged"),
    ];
    assert_eq!(base(STRANGER, &lines).as_deref(), Some("http://hub"));
}

#[test]
fn what_is_configured_wins() {
    let configured = "https://hub.example:8443".parse().unwrap();
    let headers = headers(&[("host", "up"), ("x-forwarded-host", "other")]);
    let base = external_base(
        PROXY.parse().unwrap(),
        &Uri::from_static("/"),
        &headers,
        &trusted(),
        Some(&configured),
    );
    assert_eq!(base, Some(configured));
}

#[test]
fn http2_has_the_host_in_its_target() {
    let uri = Uri::from_static("http://hub.example/x");
    let base = external_base(STRANGER.parse().unwrap(), &uri, &HeaderMap::new(), &trusted(), None).unwrap();
    assert_eq!(base.to_string(), "http://hub.example");
}

#[rstest]
#[case("https://hub.example", true)]
#[case("http://127.0.0.1:9911/", true)]
#[case("https://hub.example/path", false)]
#[case("ftp://hub.example", false)]
#[case("hub.example", false)]
#[case("https://user@hub.example", false)]
fn an_external_url_has_no_path_and_no_user(#[case] text: &str, #[case] valid: bool) {
    assert_eq!(text.parse::<super::ExternalBase>().is_ok(), valid);
}

#[test]
fn trusted_proxies_are_networks_or_addresses() {
    let proxies: TrustedProxies = serde_json::from_str(r#"["10.0.0.0/8", "::1", "192.0.2.1"]"#).unwrap();
    assert!(proxies.contains("192.0.2.1".parse().unwrap()));
    assert!(proxies.contains("::ffff:10.1.1.1".parse().unwrap()));
    assert!(!proxies.contains("192.0.2.2".parse().unwrap()));
    assert!(serde_json::from_str::<TrustedProxies>(r#"["proxy"]"#).is_err());
}

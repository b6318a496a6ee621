//! What ARCHITECTURE.md §6 forbids, one function for each rule: from a file to what is wrong in it.
//! The rules read text; what types, visibility or clippy already refuse is not repeated here.

use super::source::{Source, is_test_file, is_word};

/// Where, and what was found there.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) line: usize,
    pub(crate) found: String,
}

/// Rule 2, first half.
pub(crate) fn wire_types_outside_proto(source: &Source) -> Vec<Finding> {
    let home = source.path.starts_with("proto/") || source.path.starts_with("crates/service-kit/src/grpc");
    if !source.is_product() || home {
        return Vec::new();
    }
    words(source, |word| {
        ["tonic", "prost"].iter().any(|name| word == *name || word.starts_with(&format!("{name}_")))
    })
}

/// Rule 2, second half: these services know neither HTTP nor the edge's framework.
pub(crate) fn http_in_inner_services(source: &Source) -> Vec<Finding> {
    let inner =
        ["auth", "metadata", "blob"].iter().any(|name| source.path.starts_with(&format!("services/{name}/")));
    if !inner {
        return Vec::new();
    }
    tokens(source, &["axum", "hyper", "http::", "http_body", "reqwest", "tower_http"])
}

/// Rule 3.
pub(crate) fn impure_vocabulary(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("crates/oci/src/") {
        return Vec::new();
    }
    let effects = ["std::fs", "std::net", "std::io", "std::env", "std::process", "std::thread"];
    let clocks = ["SystemTime", "Instant", "jiff", "async", "tokio", "tracing", "println!", "eprintln!"];
    let randomness = ["rand", "new_v4", "now_v7"];
    tokens(source, &[effects.as_slice(), &clocks, &randomness].concat())
}

/// Rule 5, keys: a text in metadata that begins as KEYS.md writes a key.
pub(crate) fn keys_outside_their_file(source: &Source) -> Vec<Finding> {
    const PARTS: [&str; 14] = [
        "tag",
        "tags",
        "recent",
        "tagged",
        "manifest",
        "blobs",
        "uses",
        "unused",
        "referrers",
        "history",
        "events",
        "trash",
        "pulled",
        "holds",
    ];
    // Addresses of servers have the same signs, with other meanings.
    let home = source.path.starts_with("services/metadata/src/keys.rs")
        || source.path.contains("/keys/")
        || source.path.ends_with("/keyspace/resp/address.rs");
    if !source.path.starts_with("services/metadata/src/") || home {
        return Vec::new();
    }
    literals(source, |text| {
        let sigil = text.strip_prefix(['@', '#', '$', '&', '^']);
        let record = sigil
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_alphabetic() || c == '{'));
        let part = text
            .strip_prefix(':')
            .is_some_and(|rest| PARTS.contains(&rest.split(':').next().unwrap_or(rest)));
        record || part
    })
}

/// Rule 5, paths of the registry API.
pub(crate) fn api_paths_outside_target(source: &Source) -> Vec<Finding> {
    let homes = ["crates/oci/src/target", "services/registry-api/src/router"];
    if !source.is_product() || homes.iter().any(|home| source.path.starts_with(home)) {
        return Vec::new();
    }
    literals(source, |text| text.contains("/v2/"))
}

/// Rule 5, paths in the blob store.
pub(crate) fn store_paths_outside_layout(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("services/blob/src/") || source.path.contains("/layout") {
        return Vec::new();
    }
    let joins = source
        .shipped()
        .filter(|(_, line)| line.code.contains(".join(\"\"") || line.code.contains(".push(\"\""));
    let named = |text: &String| text.chars().any(char::is_alphabetic) && !text.contains(' ');
    joins
        .filter_map(|(line, content)| Some((line, content.literals.iter().find(|text| named(text))?)))
        .map(|(line, text)| Finding { line, found: format!("{text:?}") })
        .collect()
}

/// Rule 6, configuration.
pub(crate) fn environment_outside_config(source: &Source) -> Vec<Finding> {
    let file = source.path.rsplit('/').next().unwrap_or_default();
    let home = ["config.rs", "main.rs", "build.rs"].contains(&file) || source.path.contains("/config/");
    if !source.is_product() || home {
        return Vec::new();
    }
    tokens(source, &["env::var", "env::vars", "env::var_os", "env::args", "env::set_var", "std::env"])
}

/// Rule 6, time. The layers of service-kit measure durations of requests; nothing decides by them.
pub(crate) fn clock_not_by_argument(source: &Source) -> Vec<Finding> {
    let homes = ["clock", "http", "grpc", "telemetry"].map(|name| format!("crates/service-kit/src/{name}"));
    if !source.is_product() || homes.iter().any(|home| source.path.starts_with(home)) {
        return Vec::new();
    }
    tokens(source, &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "UNIX_EPOCH.elapsed"])
}

/// Rule 6, randomness.
pub(crate) fn randomness_not_by_argument(source: &Source) -> Vec<Finding> {
    if !source.is_product() || source.path.starts_with("crates/service-kit/src/random") {
        return Vec::new();
    }
    let sources = ["rand::rng", "rand::random", "thread_rng", "OsRng", "SysRng", "SystemRandom"];
    let ids = ["Ulid::new", "Ulid::generate", "new_v4", "now_v7", "from_entropy", "from_os_rng"];
    tokens(source, &[sources.as_slice(), &ids].concat())
}

/// Rule 7, queues.
pub(crate) fn unbounded_queue(source: &Source) -> Vec<Finding> {
    if !source.is_product() {
        return Vec::new();
    }
    tokens(source, &["unbounded_channel", "mpsc::unbounded", "mpsc::channel()"])
}

/// Rule 8: a task belongs to a `JoinSet` or a `TaskTracker`, or its handle is kept and awaited.
pub(crate) fn untracked_task(source: &Source) -> Vec<Finding> {
    let awaited = super::AWAITED_SPAWNS.iter().any(|(path, _)| *path == source.path);
    if !source.is_product() || awaited {
        return Vec::new();
    }
    tokens(source, &["tokio::spawn", "task::spawn", "task::spawn_local"])
}

/// Rule 9, as far as clippy does not say it.
pub(crate) fn nothing_to_act_on(source: &Source) -> Vec<Finding> {
    if !source.is_product() {
        return Vec::new();
    }
    tokens(source, &["Other(String)", "Other(Box<", "todo!", "unimplemented!", "anyhow"])
}

/// Rule 10, names.
pub(crate) fn file_without_a_subject(source: &Source) -> Vec<Finding> {
    let forbidden = ["utils", "util", "common", "helpers", "helper", "misc", "manager", "mod"];
    let parts = source.path.split('/').map(|part| part.trim_end_matches(".rs"));
    parts
        .filter(|part| forbidden.contains(part))
        .map(|part| Finding { line: 1, found: part.to_owned() })
        .collect()
}

/// Rule 10, imports.
pub(crate) fn glob_import(source: &Source) -> Vec<Finding> {
    tokens(source, &["::*"])
}

/// STYLE.md: a file tells one story.
pub(crate) fn long_file(source: &Source) -> Vec<Finding> {
    let limit = if is_test_file(&source.path) { 600 } else { 400 };
    let lines = source.text.lines().count();
    let long = lines > limit;
    long.then(|| Finding { line: limit + 1, found: format!("{lines} lines, {limit} allowed") })
        .into_iter()
        .collect()
}

/// STYLE.md: each file says what it is for, in at most six lines.
pub(crate) fn file_without_purpose(source: &Source) -> Vec<Finding> {
    match source.text.lines().take_while(|line| line.starts_with("//!")).count() {
        1..=6 => Vec::new(),
        lines => vec![Finding { line: 1, found: format!("{lines} lines of //!") }],
    }
}

/// STYLE.md: a parameter is never a `bool`, but where the wire's own `bool` is converted, or serde hands one over.
pub(crate) fn bool_parameter(source: &Source) -> Vec<Finding> {
    if !source.is_product() || source.path.starts_with("proto/src/convert") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut signature: Option<(usize, String)> = None;
    for (line, content) in source.shipped() {
        if signature.is_none() && has_token(&content.code, "fn ") {
            signature = Some((line, String::new()));
        }
        let Some((began, text)) = &mut signature else {
            continue;
        };
        text.push_str(&content.code);
        let ends = content.code.trim_end().ends_with(['{', '}', ';']);
        let serde = text.contains("fn visit_bool<");
        if ends && !serde && (text.contains(": bool,") || text.contains(": bool)")) {
            findings.push(Finding { line: *began, found: text.trim().to_owned() });
        }
        if ends {
            signature = None;
        }
    }
    findings
}

/// Rule 12: a derived `Debug` prints a secret that is a plain string.
pub(crate) fn secret_in_debug(source: &Source) -> Vec<Finding> {
    if !source.is_product() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut item = Item::Outside;
    for (line, content) in source.shipped() {
        let code = content.code.trim();
        item = match item {
            Item::Outside | Item::Derived if code.starts_with("#[derive(") && has_token(code, "Debug") => {
                Item::Derived
            }
            Item::Derived if has_token(code, "struct") || has_token(code, "enum") => Item::Fields,
            Item::Derived if code.is_empty() || code.starts_with("#[") => Item::Derived,
            Item::Fields if content.code.starts_with('}') => Item::Outside,
            Item::Fields => Item::Fields,
            _ => Item::Outside,
        };
        if matches!(item, Item::Fields) && is_plain_secret(code) {
            findings.push(Finding { line, found: code.to_owned() });
        }
    }
    findings
}

enum Item {
    Outside,
    Derived,
    Fields,
}

fn is_plain_secret(field: &str) -> bool {
    let Some((name, kind)) = field.split_once(':') else {
        return false;
    };
    let name = name.rsplit([' ', '{', ',']).next().unwrap_or_default();
    let secret = ["password", "secret", "token"]
        .iter()
        .any(|word| name == *word || name.ends_with(&format!("_{word}")));
    let kind = kind.trim().trim_start_matches("Option<").trim_start_matches("Vec<");
    secret && (kind.starts_with("String") || kind.starts_with("Arc<str>") || kind.starts_with("Box<str>"))
}

fn tokens(source: &Source, forbidden: &[&str]) -> Vec<Finding> {
    let found =
        |code: &str| forbidden.iter().find(|token| has_token(code, token)).map(|&token| token.to_owned());
    let lines = source.shipped().filter_map(|(line, content)| Some((line, found(&content.code)?)));
    lines.map(|(line, found)| Finding { line, found }).collect()
}

fn words(source: &Source, forbidden: impl Fn(&str) -> bool) -> Vec<Finding> {
    let found = |code: &str| code.split(|c| !is_word(c)).find(|word| forbidden(word)).map(str::to_owned);
    let lines = source.shipped().filter_map(|(line, content)| Some((line, found(&content.code)?)));
    lines.map(|(line, found)| Finding { line, found }).collect()
}

fn literals(source: &Source, forbidden: impl Fn(&str) -> bool) -> Vec<Finding> {
    let found = |texts: &[String]| texts.iter().find(|text| forbidden(text)).map(|text| format!("{text:?}"));
    let lines = source.shipped().filter_map(|(line, content)| Some((line, found(&content.literals)?)));
    lines.map(|(line, found)| Finding { line, found }).collect()
}

/// `token` stands in `code`, and not as a part of a longer word.
fn has_token(code: &str, token: &str) -> bool {
    code.match_indices(token).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + token.len()..].chars().next();
        let begins = !token.starts_with(is_word) || !before.is_some_and(is_word);
        let ends = !token.ends_with(is_word) || !after.is_some_and(is_word);
        begins && ends
    })
}

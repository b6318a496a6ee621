//! The `OpenAPI` document against the hub that serves it: requests made from it, right and wrong, are answered as it says.

use std::{env, path::PathBuf, process::Command};

use reqwest::Method;
use tests::{
    Hub, Topology,
    hub::Options,
    process::try_run,
    raw::{ADMIN, PASSWORD, read},
};

/// Where ./test has put its tools.
fn schemathesis() -> Command {
    let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache/bucket");
    let cache = env::var_os("TEST_CACHE").map_or_else(home, PathBuf::from);
    Command::new(cache.join("tools/bin/schemathesis"))
}

#[tokio::test]
async fn requests_made_from_the_document_are_answered_as_it_says() {
    let environment = vec![("BUCKET_ACCOUNTS__SIGN_UP".to_owned(), "open".to_owned())];
    let hub = Hub::start_with(Topology::OneProcess, Options { environment, ..Options::default() });
    let raw = hub.raw();
    let document = raw.anonymous(Method::GET, "/api/v1/openapi.json").send().await.unwrap();
    let file = hub.data().join("openapi.json");
    std::fs::write(&file, read(document).await.expect(200).body).unwrap();

    // No schema says which passwords are too easy: what it allows may still be refused with 422.
    let allowed = r#"["2xx", "401", "403", "404", "409", "422", "429"]"#;
    let settings = format!("[checks]\npositive_data_acceptance.expected-statuses = {allowed}\n");
    std::fs::write(hub.data().join("schemathesis.toml"), settings).unwrap();

    let directory = hub.data();
    let run = tokio::task::spawn_blocking(move || {
        let mut command = schemathesis();
        command
            .current_dir(directory)
            .arg("run")
            .arg(file)
            .args(["--url", raw.base(), "--auth", &format!("{ADMIN}:{PASSWORD}")])
            // The same cases each time.
            .args(["--seed", "7", "--generation-deterministic", "--max-examples", "10", "--workers", "1"])
            .args(["--phases", "examples,coverage,fuzzing", "--no-color"])
            // Wrong passwords by the hundred from one address are throttled, as they should be.
            .args(["--exclude-checks", "ignored_auth"])
            // So are wrong ones of the account itself, which would keep its own requests out.
            .args(["--exclude-operation-id", "start_factor", "--exclude-operation-id", "remove_factor"])
            .args(["--exclude-operation-id", "ask_verification", "--exclude-operation-id", "link_identity"]);
        try_run(&mut command)
    });
    let (status, printed) = run.await.unwrap();
    assert!(status.success(), "{printed}");
}

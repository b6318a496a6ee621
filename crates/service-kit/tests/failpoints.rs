//! A process that reaches its failpoint is gone, as after `kill -9`.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Command, Output},
};

use service_kit::{config, failpoint};

fn run(setting: &str) -> Output {
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--ignored", "--exact", "--nocapture", "victim"]).env("BUCKET_FAILPOINT", setting);
    victim.output().unwrap()
}

#[test]
#[ignore = "it is run by the others, in a process of its own"]
fn victim() {
    config::arm_failpoint();
    for round in 1..=5 {
        println!("round {round}");
        failpoint::hit("elsewhere");
        failpoint::hit("here");
    }
    println!("alive");
}

#[test]
fn the_named_hit_kills_the_process() {
    let output = run("here:3");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.signal(), Some(9), "{text}");
    assert!(text.contains("round 3") && !text.contains("round 4"), "{text}");
}

#[test]
fn without_a_number_the_first_hit_does() {
    let output = run("here");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.signal(), Some(9), "{text}");
    assert!(!text.contains("round 2"), "{text}");
}

#[test]
fn a_place_that_is_not_reached_kills_nobody() {
    let output = run("nowhere");
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("alive"));
}

//! The invariants after each of many random operations, with and without cuts. A failure names the seed.

use std::time::Duration;

use oci::{Digest, Needed, Reference, RepositoryName};
use proto::metadata::{
    Accounts as _, Repositories as _, RepositoryError, Rules as _, UploadError, Uploads as _,
    accounts::Role,
    repositories::{Expected, Intent, Restore},
    uploads::{Link, Mount},
};
use service_kit::random::{Random as _, SeededRandom};

use super::{
    Strictness, check,
    cut::{Cutting, Upload, World, account, actor, digest, held, manifest, world},
    mended::{agrees, is_mended},
    reclaim::{sweep, try_sweep},
    untagged::untagged_go,
};
use crate::Service;

/// A sequence of choices.
struct Dice(SeededRandom);

impl Dice {
    fn below(&self, limit: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_be_bytes(bytes) as usize % limit
    }

    fn name(&self) -> RepositoryName {
        format!("ann/app{}", self.below(3)).parse().unwrap()
    }

    fn layer(&self) -> Digest {
        digest(&format!("layer {}", self.below(6)))
    }

    fn body(&self) -> String {
        format!("manifest {}", self.below(MANIFESTS))
    }

    fn tag(&self) -> String {
        format!("v{}", self.below(4))
    }
}

const MANIFESTS: usize = 8;

/// What a caller does and may be refused; what it may not see is a lost or damaged record.
async fn step(world: &World, dice: &Dice, number: u64, pending: &mut Vec<Link>) {
    let service = &world.service;
    let (name, layer) = (dice.name(), dice.layer());
    match dice.below(13) {
        0 | 1 => {
            let upload = if dice.below(2) == 0 { Upload::Reused(number) } else { Upload::Written(number) };
            pending.push(held(service, &name, &layer, upload).await);
        }
        2 | 3 if !pending.is_empty() => {
            let link = pending.swap_remove(dice.below(pending.len()));
            accepted_upload(service.link(&link, &actor()).await);
        }
        4 => {
            let mount = Mount { repository: name, digest: layer, from: vec![dice.name(), dice.name()] };
            accepted_upload(service.mount(&mount, &actor()).await.map(drop));
        }
        5 | 6 => push(service, dice, &name).await,
        8 => sweep(world, Duration::from_hours(24 * dice.below(8) as u64 / 2)).await,
        9 => {
            let what = if dice.below(2) == 0 { dice.tag() } else { digest(&dice.body()).to_string() };
            let restore = Restore { repository: name, what: what.parse().unwrap(), to: None };
            accepted(service.restore(&restore, &actor()).await.map(drop));
        }
        10 => accepted(service.blob(&name, &layer, Intent::Push).await.map(drop)),
        7 => {
            let reference = if dice.below(2) == 0 { dice.tag() } else { digest(&dice.body()).to_string() };
            let reference: Reference = reference.parse().unwrap();
            accepted(service.delete_manifest(&name, &reference, &Expected::Anything, &actor()).await);
        }
        11 => accepted(service.delete_blob(&name, &layer, &actor()).await),
        _ => {
            if let Ok(grant) = service.blob(&name, &layer, Intent::Read).await {
                accepted(service.quarantine(&grant.locator).await);
            }
        }
    }
}

async fn push(service: &Service, dice: &Dice, name: &RepositoryName) {
    // What a body needs follows from the body, as it does for real manifests.
    let body = dice.body();
    let number: usize = body.trim_start_matches("manifest ").parse().unwrap();
    let layers = [digest(&format!("layer {}", number % 6)), digest(&format!("layer {}", (number + 1) % 6))];
    let child = digest(&format!("manifest {}", number / 2));
    let mut needs: Vec<_> = layers.iter().map(|layer| (Needed::Blob, layer)).collect();
    if number >= MANIFESTS / 2 {
        needs = vec![(Needed::Manifest, &child)];
    }

    let tags: Vec<String> = (0..dice.below(3)).map(|_| dice.tag()).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    accepted(service.put_manifest(&manifest(name, &body, &needs, &tags), &actor()).await);
}

fn accepted(outcome: Result<(), RepositoryError>) {
    if let Err(error @ (RepositoryError::Damaged { .. } | RepositoryError::Conflict { .. })) = outcome {
        panic!("{error}");
    }
}

fn accepted_upload(outcome: Result<(), UploadError>) {
    if let Err(error @ (UploadError::Damaged { .. } | UploadError::Conflict { .. })) = outcome {
        panic!("{error}");
    }
}

async fn run(seed: u64, steps: u64, strictness: Strictness) {
    let (keyspace, dice) = (Cutting::new(), Dice(SeededRandom::new(seed)));
    let world = world(keyspace.clone()).await;
    let service = &world.service;
    service.create_account(&account("ann", Role::Administrator), &actor()).await.unwrap();
    if seed.is_multiple_of(2) {
        service.put_rules(&"ann".parse().unwrap(), Some(&untagged_go("2d")), &actor()).await.unwrap();
    }
    let (names, manifests) = made();

    let mut pending = Vec::new();
    for number in 0..steps {
        // Sessions and holds are prepared before a cut, so that only what is under test is cut.
        if strictness == Strictness::AfterCuts && dice.below(3) == 0 && !pending.is_empty() {
            let link: Link = pending.swap_remove(dice.below(pending.len()));
            keyspace.cut_after(dice.below(20));
            accepted_upload(service.link(&link, &actor()).await);
            keyspace.mend();
            pending.push(link);
        } else if strictness == Strictness::AfterCuts && dice.below(4) == 0 {
            keyspace.cut_after(dice.below(12));
            let _cut = try_sweep(&world, Duration::from_hours(24)).await;
            keyspace.mend();
        } else if strictness == Strictness::AfterCuts && dice.below(3) == 0 {
            keyspace.cut_after(dice.below(20));
            push(service, &dice, &dice.name()).await;
            keyspace.mend();
        } else {
            step(&world, &dice, number, &mut pending).await;
        }
        check(service, &names, &manifests, strictness).await;
        if strictness == Strictness::Exact {
            agrees(service).await;
        }
    }
    world.clock.advance(Duration::from_hours(2));
    is_mended(service).await;
    check(service, &names, &manifests, Strictness::Exact).await;
}

/// The repositories and the manifests that random operations make.
pub(super) fn made() -> (Vec<RepositoryName>, Vec<Digest>) {
    let names = (0..3).map(|number| format!("ann/app{number}").parse().unwrap());
    (names.collect(), (0..MANIFESTS).map(|number| digest(&format!("manifest {number}"))).collect())
}

/// Random operations in a world that is new.
pub(super) async fn stir(world: &World, seed: u64, steps: u64) {
    let (dice, mut pending) = (Dice(SeededRandom::new(seed)), Vec::new());
    world.service.create_account(&account("ann", Role::Administrator), &actor()).await.unwrap();
    for number in 0..steps {
        step(world, &dice, number, &mut pending).await;
    }
}

#[tokio::test]
async fn invariants_hold_after_random_operations() {
    for seed in 0..8 {
        run(seed, 250, Strictness::Exact).await;
    }
}

#[tokio::test]
async fn invariants_hold_after_random_operations_and_cuts() {
    for seed in 100..108 {
        run(seed, 250, Strictness::AfterCuts).await;
    }
}

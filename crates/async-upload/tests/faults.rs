//! Networks that break: the right image comes of it, or a clear failure.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod servers;

use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_upload::settings::Source;
use futures::StreamExt as _;
use servers::bucket::{bucket, object, put, put_all, unfinished};
use servers::front::{Front, Trouble, front};
use servers::{
    Access, content, crane, exists, exported, files, registry, run, s3, to_bucket, to_image,
};

const SIZE: usize = 16 << 20;

/// A number that follows from others.
fn random(seed: u64, number: u64) -> u64 {
    let mixed = content(seed.wrapping_mul(0x9E37_79B9).wrapping_add(number + 1), 24);
    u64::from_le_bytes(mixed[16..24].try_into().unwrap())
}

/// Trouble for about a third of all connections.
fn trouble(seed: u64) -> impl Fn(u64, &str) -> Trouble {
    move |number, _| {
        let random = random(seed, number);
        let offset = (random >> 8) % SIZE as u64;
        match random % 18 {
            0 => Trouble::CutUp(offset),
            1 => Trouble::CutDown(offset),
            2 => Trouble::CutDown(offset % 200),
            3 => Trouble::Status(500),
            4 => Trouble::Status(429),
            5 => Trouble::Slow,
            _ => Trouble::None,
        }
    }
}

/// Runs with the troubles of each seed. Gives how many came through and how often there was trouble.
async fn break_everything(seeds: std::ops::Range<u64>) -> (usize, u64) {
    let (registry, bucket) = (registry(&Access::default()), bucket().await);
    let weights = content(9, SIZE);
    put(&bucket.address, "m/weights.bin", weights.clone()).await;
    put(&bucket.address, "m/config.json", b"{}".to_vec()).await;
    let expected = [
        ("models/config.json".to_owned(), b"{}".to_vec()),
        ("models/weights.bin".to_owned(), weights),
    ];
    let (registry, bucket, expected) = (&registry.address, &bucket.address, &expected);
    futures::stream::iter(seeds)
        .map(|seed| async move {
            let source = front(bucket, None, trouble(2 * seed)).await;
            let destination = front(registry, None, trouble(2 * seed + 1)).await;
            let path = format!("broken/run{seed}:v1");
            let name = format!("{}/{path}", destination.address);
            let mut transfer = to_image(Source::S3(s3(&source.address, "m")), &name, None);
            transfer.retries = 9;
            let result = run(&transfer).await;
            let direct = format!("{registry}/{path}");
            let through = match result {
                Ok(_) => {
                    let found: Vec<_> = files(&direct)
                        .into_iter()
                        .map(|(path, .., content)| (path, content))
                        .collect();
                    assert!(found == expected, "seed {seed}: another content");
                    1
                }
                Err(error) => {
                    assert!(error.retriable, "seed {seed}: {error}");
                    assert!(!exists(&direct), "seed {seed}: {error}");
                    0
                }
            };
            let seen = |front: &servers::front::Front| front.seen.troubled.load(Ordering::Relaxed);
            (through, seen(&source) + seen(&destination))
        })
        .buffer_unordered(4)
        .fold(
            (0, 0),
            |sum, one| async move { (sum.0 + one.0, sum.1 + one.1) },
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_runs_over_a_network_that_breaks() {
    let (through, troubles) = break_everything(0..20).await;
    assert!(through >= 18, "{through} of 20 came through");
    assert!(troubles > 60, "{troubles}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: 200 runs of 16 MB"]
async fn two_hundred_runs_over_a_network_that_breaks() {
    let (through, troubles) = break_everything(1000..1200).await;
    println!("{through} of 200 came through {troubles} troubles");
    assert!(through >= 180, "{through} of 200 came through");
}

const CHILD: &str = "ASYNC_UPLOAD_TEST_CHILD";
const FILES: u64 = 12;
const FILE: usize = 2 << 20;

/// What the next tests kill: a process that runs one transfer.
#[tokio::test]
async fn child() {
    let Ok(places) = std::env::var(CHILD) else {
        return;
    };
    let places: Vec<&str> = places.split(' ').collect();
    let source = Source::S3(s3(places[1], "m"));
    let transfer = match places[0] {
        "image" => to_image(source, places[2], None),
        _ => to_bucket(source, places[2], places[3]),
    };
    run(&transfer).await.unwrap();
}

/// Starts such a process.
fn start(places: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, places)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills a process after so many bytes (a slow machine is killed as late as a fast one), and runs it
/// again. Gives how many bytes went through the front before and after.
async fn killed_at(at: u64, front: &Front, places: &str) -> (u64, u64) {
    let up = || front.seen.up.load(Ordering::Relaxed);
    let mut child = start(places);
    while up() < at && child.try_wait().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = up();
    assert!(start(places).wait().unwrap().success(), "{places}");
    (before, up() - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_next_run_to_a_bucket_goes_on() {
    kill_and_store_on(0..2, FILES, FILE).await;
    kill_and_store_on(2..4, 2, 10 * FILE).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: 20 kills"]
async fn after_any_of_twenty_kills_the_next_run_to_a_bucket_goes_on() {
    kill_and_store_on(200..210, FILES, FILE).await;
    kill_and_store_on(210..220, 3, 10 * FILE).await;
}

async fn kill_and_store_on(kills: std::ops::Range<u64>, count: u64, size: usize) {
    let bucket = bucket().await;
    let content = |number| content(300 + number, size);
    let objects = (0..count).map(|number| (format!("m/{number:02}.bin"), content(number)));
    put_all(&bucket.address, objects).await;
    let total = count * size as u64;
    for kill in kills {
        let front = front(&bucket.address, None, |_, _| Trouble::None).await;
        let at = random(8, kill) % (total * 9 / 10);
        let key = format!("killed/{kill}");
        let places = format!("bucket {} {} {key}", bucket.address, front.address);
        let (before, after) = killed_at(at, &front, &places).await;
        for number in 0..count {
            let found = object(&bucket.address, &format!("{key}/{number:02}.bin")).await;
            assert!(found == content(number), "kill {kill}: file {number}");
        }
        let again = (before + after).saturating_sub(total);
        println!("killed at {at} of {total}: {again} bytes again");
        assert!(
            again < size as u64 + (256 << 10),
            "kill {kill}: {again} bytes again"
        );
        assert!(unfinished(&bucket.address).await.is_empty(), "kill {kill}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_next_run_goes_on() {
    kill_and_go_on(0..4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: 20 kills"]
async fn after_any_of_twenty_kills_the_next_run_goes_on() {
    kill_and_go_on(100..120).await;
}

async fn kill_and_go_on(kills: std::ops::Range<u64>) {
    let (registry, bucket) = (registry(&Access::default()), bucket().await);
    let content = |number| content(100 + number, FILE);
    let objects = (0..FILES).map(|number| (format!("m/{number:02}.bin"), content(number)));
    put_all(&bucket.address, objects).await;
    let expected: Vec<_> = (0..FILES)
        .map(|number| (format!("models/{number:02}.bin"), content(number)))
        .collect();
    let total = FILES * FILE as u64;
    // What nobody killed: all others must be the same.
    let name = format!("{}/killed/whole:v1", registry.address);
    let source = Source::S3(s3(&bucket.address, "m"));
    run(&to_image(source, &name, None)).await.unwrap();
    assert_eq!(files(&name).len(), expected.len());
    let whole = crane(&["digest", &name]);
    let mut resumed = 0;
    let (count, mut most) = (kills.end - kills.start, 0);
    for kill in kills {
        let front = front(&registry.address, None, |_, _| Trouble::None).await;
        let path = format!("killed/run{kill}:v1");
        let places = format!("image {} {}/{path}", bucket.address, front.address);
        let at = random(7, kill) % (total * 9 / 10);
        let (before, after) = killed_at(at, &front, &places).await;
        let all = before + after;
        let name = format!("{}/{path}", registry.address);
        assert_eq!(crane(&["digest", &name]), whole, "kill {kill}");
        let found: Vec<_> = exported(&name)
            .into_iter()
            .map(|(path, .., content)| (path, content))
            .collect();
        assert!(found == expected, "kill {kill}");
        // What is on its way is together never longer than one layer; the rest is notes.
        let again = all.saturating_sub(total);
        assert!(
            again < FILE as u64 + (256 << 10),
            "kill {kill}: {again} bytes again"
        );
        most = most.max(again);
        resumed += u64::from(after < total * 9 / 10);
    }
    println!("{resumed} of {count} went on; at most {most} of {total} bytes were sent again");
    assert!(2 * resumed >= count, "{resumed} of {count} went on");
}

//! Buckets behind a front that looks at signatures: as a source and as a destination.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod servers;

use std::sync::atomic::{AtomicBool, Ordering};

use async_upload::oci::digest;
use async_upload::settings::{LAYER_CAP, S3, Secret, Source};
use servers::bucket::{
    SECRET, begin_parts, bucket, forge, object, open_to_all, put, put_all, unfinished,
};
use servers::front::{Front, Trouble, front};
use servers::web::{How, web};
use servers::{Access, content, exists, files, registry, run, s3, to_bucket, to_image};

#[tokio::test]
async fn keys_of_every_kind_are_signed_for() {
    let (registry, bucket) = (registry(&Access::default()), bucket().await);
    let front = front(&bucket.address, Some(SECRET), |_, _| Trouble::None).await;
    let odd = "a b+c=d&e/ü ✓.bin";
    put(&bucket.address, &format!("m/{odd}"), b"odd".to_vec()).await;
    let name = format!("{}/odd:v1", registry.address);
    let mut place = s3(&front.address, "m");
    place.credentials.as_mut().unwrap().session_token = Some(Secret::new("to/ken+="));
    run(&to_image(Source::S3(place.clone()), &name, None))
        .await
        .unwrap();
    let found = files(&name);
    assert_eq!(
        (&*found[0].0, &*found[0].3),
        (&*format!("models/{odd}"), b"odd".as_slice())
    );
    assert_eq!(front.seen.refused.load(Ordering::Relaxed), 0);

    // One object, and a key that is wrong.
    put(&bucket.address, "one/model.bin", b"one".to_vec()).await;
    place.key = "one/model.bin".to_owned();
    run(&to_image(Source::S3(place.clone()), &name, None))
        .await
        .unwrap();
    assert_eq!(files(&name)[0].0, "models/model.bin");
    place.credentials.as_mut().unwrap().secret_access_key = Secret::new("wrong-secret");
    let error = run(&to_image(Source::S3(place), &name, None))
        .await
        .unwrap_err();
    assert!(error.cause.contains("403"), "{error}");
    assert!(!error.retriable);
    let text = format!("{error} {error:?}");
    for secret in ["wrong-secret", "to/ken", "X-Amz-Signature"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a_bucket_says_who_may_read_it() {
    let (registry, bucket) = (registry(&Access::default()), bucket().await);
    put(&bucket.address, "m/a b+c=d&e/ü ✓.bin", b"odd".to_vec()).await;
    let name = format!("{}/who:v1", registry.address);
    let place = s3(&bucket.address, "m");
    let read = async |place: &S3| run(&to_image(Source::S3(place.clone()), &name, None)).await;
    read(&place).await.unwrap();

    let mut wrong = place.clone();
    wrong.credentials.as_mut().unwrap().secret_access_key = Secret::new("wrong-secret");
    let error = read(&wrong).await.unwrap_err();
    assert!(error.cause.contains("SignatureDoesNotMatch"), "{error}");
    assert!(!error.retriable);
    let mut stale = place.clone();
    stale.credentials.as_mut().unwrap().session_token = Some(Secret::new("stale"));
    let error = read(&stale).await.unwrap_err();
    assert!(error.cause.contains("InvalidToken"), "{error}");
    assert!(!error.retriable);

    let mut anonymous = place;
    anonymous.credentials = None;
    let error = read(&anonymous).await.unwrap_err();
    assert!(error.cause.contains("AccessDenied"), "{error}");
    open_to_all(&bucket.address).await;
    read(&anonymous).await.unwrap();
    assert_eq!(files(&name)[0].0, "models/a b+c=d&e/ü ✓.bin");
}

#[tokio::test]
async fn a_listing_of_several_pages_is_read_to_its_end() {
    const OBJECTS: usize = 1005;
    let (registry, bucket) = (registry(&Access::default()), bucket().await);
    // Empty objects are listed and need not be read.
    let objects = (0..OBJECTS).map(|place| (format!("m/{place:04}"), Vec::new()));
    put_all(&bucket.address, objects).await;
    put(&bucket.address, "m/last", b"words".to_vec()).await;
    let name = format!("{}/pages:v1", registry.address);
    let source = Source::S3(s3(&bucket.address, "m"));
    let outcome = run(&to_image(source, &name, None)).await.unwrap();
    assert_eq!((outcome.files.len(), outcome.bytes), (OBJECTS + 1, 5));
    assert!(outcome.layers <= LAYER_CAP, "{}", outcome.layers);
    for (place, file) in outcome.files.iter().take(OBJECTS).enumerate() {
        assert_eq!(file.path, format!("{place:04}"));
    }
    let found = files(&name);
    assert_eq!(found.len(), OBJECTS + 1);
    let (path, .., content) = found.last().unwrap();
    assert_eq!((&**path, &**content), ("models/last", b"words".as_slice()));
}

#[tokio::test]
async fn an_object_that_changes_is_noticed() {
    let (registry, bucket) = (registry(&Access::default()), bucket().await);
    put(&bucket.address, "m/w.bin", content(1, 9 << 20)).await;
    let server = bucket.address.clone();
    // The second range finds another version.
    let front = front(&bucket.address, None, move |_, line| {
        if line.contains("/w.bin") {
            let server = server.clone();
            let put = std::thread::spawn(move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(put(&server, "m/w.bin", content(2, 9 << 20)));
            });
            put.join().unwrap();
        }
        Trouble::None
    })
    .await;
    let name = format!("{}/changed:v1", registry.address);
    let source = Source::S3(s3(&front.address, "m"));
    let error = run(&to_image(source, &name, None)).await.unwrap_err();
    assert!(error.cause.contains("412"), "{error}");
    assert!(error.remedy.contains("changed"), "{error}");
}

#[tokio::test]
async fn a_bucket_is_a_destination() {
    let bucket = bucket().await;
    let front = front(&bucket.address, Some(SECRET), |number, _| {
        match number % 7 {
            3 => Trouble::Status(500),
            5 => Trouble::Status(429),
            _ => Trouble::None,
        }
    })
    .await;
    let (large, small) = (content(3, (20 << 20) + 5), content(4, 1000));
    put(&bucket.address, "m/big/weights.bin", large.clone()).await;
    put(&bucket.address, "m/config.json", small.clone()).await;
    put(&bucket.address, "m/empty", Vec::new()).await;
    let mut transfer = to_bucket(
        Source::S3(s3(&front.address, "m")),
        &front.address,
        "out/v1",
    );
    transfer.retries = 8;
    let outcome = run(&transfer).await.unwrap();
    assert_eq!(
        outcome.uri,
        format!(
            "s3://models/out/v1?endpoint=http%3A%2F%2F127.0.0.1%3A{}",
            front.address.rsplit(':').next().unwrap()
        )
    );
    assert_eq!((outcome.digest.clone(), outcome.layers), (None, 3));
    assert_eq!(
        object(&bucket.address, "out/v1/big/weights.bin").await,
        large
    );
    assert_eq!(object(&bucket.address, "out/v1/config.json").await, small);
    assert_eq!(object(&bucket.address, "out/v1/empty").await, b"");
    assert_eq!(front.seen.refused.load(Ordering::Relaxed), 0);
    assert!(front.seen.troubled.load(Ordering::Relaxed) > 0);

    // Again: nothing is sent.
    let again = run(&transfer).await.unwrap();
    assert_eq!((again.sent, again.bytes), (0, outcome.bytes));
}

#[tokio::test]
async fn what_was_begun_with_another_version_is_sent_again() {
    let bucket = bucket().await;
    let address = &bucket.address;
    let dir = tempfile::tempdir().unwrap();
    // In an answer its name is escaped.
    let large = content(6, 9 << 20);
    std::fs::write(dir.path().join("w&1.bin"), &large).unwrap();
    let old = begin_parts(address, "out/w&1.bin").await;
    let other = begin_parts(address, "out/w&1.bin.old").await;
    assert_eq!(unfinished(address).await, sorted([&old, &other]));
    let transfer = to_bucket(Source::Dir(dir.path().to_owned()), address, "out");
    let outcome = run(&transfer).await.unwrap();
    assert_eq!(outcome.sent, large.len() as u64);
    assert_eq!(unfinished(address).await, [other]);
    assert!(object(address, "out/w&1.bin").await == large);
    // The note on it is that of this version.
    assert_eq!(run(&transfer).await.unwrap().sent, 0);
}

#[tokio::test]
async fn parts_that_are_stored_are_kept_and_a_failure_ends_them() {
    let bucket = bucket().await;
    let address = &bucket.address;
    let dir = tempfile::tempdir().unwrap();
    let large = content(7, 36 << 20);
    std::fs::write(dir.path().join("w.bin"), &large).unwrap();
    let source = Source::Dir(dir.path().to_owned());
    // The fourth part never gets through.
    let fourth = |line: &str| line.contains("partNumber=4&");
    let hangs = front(address, None, move |_, head| {
        if fourth(head) {
            Trouble::CutUp(0)
        } else {
            Trouble::None
        }
    })
    .await;
    let mut transfer = to_bucket(source.clone(), &hangs.address, "out");
    transfer.retries = u32::MAX;
    let broken = run(&transfer);
    let all_others = async {
        while hangs.seen.up.load(Ordering::Relaxed) < 28 << 20 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        // Until the answers are there, too.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    };
    tokio::select! {
        _ = broken => panic!("it ended"),
        () = all_others => {}
    }
    assert_eq!(unfinished(address).await.len(), 1);
    // The run is gone without a word. The next one sends what is missing.
    let outcome = run(&to_bucket(source.clone(), address, "out"))
        .await
        .unwrap();
    assert_eq!((outcome.bytes, outcome.sent), (36 << 20, 8 << 20));
    assert!(unfinished(address).await.is_empty());
    assert!(object(address, "out/w.bin").await == large);

    // One that gives up leaves nothing that costs money.
    transfer = to_bucket(source, &hangs.address, "other");
    transfer.retries = 1;
    let error = run(&transfer).await.unwrap_err();
    assert!(error.cause.contains("part 4"), "{error}");
    assert!(unfinished(address).await.is_empty());
}

/// A front before `address` that makes `trouble` once: when the parts of an object are joined.
async fn once_at_the_end(address: &str, trouble: Trouble) -> Front {
    let was = AtomicBool::new(false);
    front(address, None, move |_, head| {
        let joins = head.starts_with("POST ") && head.contains("uploadId=");
        if joins && !was.swap(true, Ordering::Relaxed) {
            trouble
        } else {
            Trouble::None
        }
    })
    .await
}

#[tokio::test]
async fn an_object_whose_last_answer_is_lost_is_there() {
    let bucket = bucket().await;
    let dir = tempfile::tempdir().unwrap();
    let large = content(11, 20 << 20);
    std::fs::write(dir.path().join("w.bin"), &large).unwrap();
    let source = Source::Dir(dir.path().to_owned());
    for (signed, out) in [(false, "lost"), (true, "lost/signed")] {
        // The server has joined the parts when it begins to answer, and then knows no upload.
        let front = once_at_the_end(&bucket.address, Trouble::CutDown(1)).await;
        let mut transfer = to_bucket(source.clone(), &front.address, out);
        transfer.signed = signed;
        let outcome = run(&transfer).await.unwrap();
        assert_eq!(front.seen.troubled.load(Ordering::Relaxed), 1);
        assert_eq!(outcome.sent, large.len() as u64);
        // Each part went through once.
        let up = front.seen.up.load(Ordering::Relaxed);
        assert!(up < outcome.sent + (1 << 20), "{up} bytes went through");
        assert!(object(&bucket.address, &format!("{out}/w.bin")).await == large);
        assert!(unfinished(&bucket.address).await.is_empty());
    }
}

#[tokio::test]
async fn an_upload_that_is_gone_before_its_end_is_no_object() {
    let bucket = bucket().await;
    let dir = tempfile::tempdir().unwrap();
    let large = content(12, 20 << 20);
    std::fs::write(dir.path().join("w.bin"), &large).unwrap();
    // What lies there has the length of the file, and is not it.
    put(&bucket.address, "gone/w.bin", content(13, 20 << 20)).await;
    let front = once_at_the_end(&bucket.address, Trouble::Refuse(404)).await;
    let source = Source::Dir(dir.path().to_owned());
    let outcome = run(&to_bucket(source, &front.address, "gone"))
        .await
        .unwrap();
    assert_eq!(front.seen.troubled.load(Ordering::Relaxed), 1);
    assert_eq!(outcome.bytes, large.len() as u64);
    assert!(object(&bucket.address, "gone/w.bin").await == large);
    assert!(unfinished(&bucket.address).await.is_empty());
}

#[tokio::test]
async fn what_is_signed_is_not_what_an_object_says_of_itself() {
    let bucket = bucket().await;
    let address = &bucket.address;
    let dir = tempfile::tempdir().unwrap();
    let (mine, theirs) = (content(8, 1000), content(9, 1000));
    std::fs::write(dir.path().join("w.bin"), &mine).unwrap();
    let mut transfer = to_bucket(Source::Dir(dir.path().to_owned()), address, "out");
    run(&transfer).await.unwrap();
    // Somebody else has written another content with the notes of this one.
    forge(address, "out/w.bin", theirs.clone()).await;
    assert_eq!(
        run(&transfer).await.unwrap().sent,
        0,
        "a forgery that works"
    );
    transfer.signed = true;
    let outcome = run(&transfer).await.unwrap();
    assert_eq!(
        outcome.files[0].sha256,
        Some(digest(&mine).replace("sha256:", ""))
    );
    assert!(object(address, "out/w.bin").await == mine);

    // What is there and right is read and not sent, also in parts.
    std::fs::write(dir.path().join("large.bin"), content(10, 20 << 20)).unwrap();
    assert_eq!(run(&transfer).await.unwrap().sent, 20 << 20);
    assert_eq!(run(&transfer).await.unwrap().sent, 0);
}

/// A list from a server that takes any name.
#[tokio::test]
async fn a_list_with_names_that_leave_the_model_is_refused() {
    let registry = registry(&Access::default());
    let web = web().await;
    for key in ["m/../evil.txt", "m/a/../../evil.txt"] {
        let list = format!(
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>models</Name><Prefix>m/</Prefix><KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys>\
             <IsTruncated>false</IsTruncated><Contents><Key>{key}</Key>\
             <LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\"e\"</ETag><Size>4</Size>\
             <StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"
        );
        web.serve("/models", How::Whole, list.clone());
        web.serve("/models/", How::Whole, list);
        let name = format!("{}/evil:v1", registry.address);
        let source = Source::S3(s3(&web.address, "m"));
        let error = run(&to_image(source, &name, None)).await.unwrap_err();
        assert!(error.cause.contains("leaves the model"), "{key}: {error}");
        assert!(!exists(&name));
    }
}

fn sorted(ids: [&str; 2]) -> Vec<String> {
    let mut ids = ids.map(str::to_owned).to_vec();
    ids.sort();
    ids
}

#[tokio::test]
async fn parts_that_memory_cannot_hold_are_refused_before_a_byte_moves() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("huge.bin")).unwrap();
    // A hole: nothing of it is read.
    file.set_len(2 << 40).unwrap();
    let transfer = to_bucket(Source::Dir(dir.path().to_owned()), "127.0.0.1:1", "out");
    let error = run(&transfer).await.unwrap_err();
    assert!(error.remedy.contains("--memory-budget=420Mi"), "{error}");
}

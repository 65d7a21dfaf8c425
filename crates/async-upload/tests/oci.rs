//! A model as an image, in a real registry, read by another program.

mod servers;

use async_upload::settings::Source;
use async_upload::transfer::Phase;
use servers::{
    Access, base, bucket, content, crane, crane_json, files, put, registry, run, s3, to_image,
};

#[tokio::test]
async fn objects_of_a_bucket_become_an_image() {
    let (registry, bucket) = (registry(&Access::default()), bucket().await);
    let (small, large) = (content(1, 5), content(2, 9_500_001));
    put(&bucket.address, "models/m/config.json", small.clone()).await;
    put(&bucket.address, "models/m/sub/config.json", b"{}".to_vec()).await;
    put(&bucket.address, "models/m/weights.bin", large.clone()).await;
    put(&bucket.address, "models/m/empty", Vec::new()).await;
    put(&bucket.address, "models/m-2/evil.txt", b"evil".to_vec()).await;
    let base = base(&registry.address, &["linux/amd64", "linux/arm64"]);
    let name = format!("{}/org/model:v1", registry.address);

    let transfer = to_image(Source::S3(s3(&bucket.address, "m")), &name, Some(&base));
    let outcome = run(&transfer).await.unwrap();

    assert_eq!(outcome.uri, format!("oci://{name}"));
    assert_eq!(outcome.bytes, (small.len() + 2 + large.len()) as u64);
    assert_eq!((outcome.layers, outcome.sent), (4, outcome.bytes));
    let expected = [
        ("bin/sh", 0o755, 0, b"amd64".to_vec()),
        ("models/config.json", 0o664, 0, small),
        ("models/empty", 0o664, 0, Vec::new()),
        ("models/sub/config.json", 0o664, 0, b"{}".to_vec()),
        ("models/weights.bin", 0o664, 0, large),
    ]
    .map(|(path, mode, owner, content)| (path.to_owned(), mode, owner, content));
    assert_eq!(files(&name), expected);

    let index = crane_json(&["manifest", &name]);
    let platforms: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    assert_eq!(outcome.manifests.len(), 2);
    let arm = format!("{}/org/model@{}", registry.address, outcome.manifests[1]);
    let manifest = crane_json(&["manifest", &arm]);
    assert_eq!(manifest["annotations"]["io.opendatahub.author"], "olot");
    let layer = &manifest["layers"][4]["annotations"];
    assert_eq!(
        layer["olot.layer.content.inlayerpath"],
        "/models/weights.bin"
    );
    let weights = outcome.files.iter().find(|file| file.path == "weights.bin");
    assert_eq!(
        layer["olot.layer.content.digest"],
        format!("sha256:{}", weights.unwrap().sha256)
    );
    // The notes of the run are gone.
    let repository = format!("{}/org/model", registry.address);
    assert_eq!(
        String::from_utf8(crane(&["ls", &repository])).unwrap(),
        "v1\n"
    );
}

#[tokio::test]
async fn nothing_to_move_is_an_error() {
    let (registry, bucket) = (registry(&Access::default()), bucket().await);
    put(&bucket.address, "models/m-2/evil.txt", b"evil".to_vec()).await;
    let name = format!("{}/org/model:v1", registry.address);
    let transfer = to_image(Source::S3(s3(&bucket.address, "m")), &name, None);
    let error = run(&transfer).await.unwrap_err();
    assert_eq!(error.phase, Phase::List);
    assert!(error.cause.contains("no object \"m\""), "{error}");
}

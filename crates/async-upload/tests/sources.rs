//! Every source, to a real registry.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod servers;

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use async_upload::settings::{Hf, Http, Secret, Source, Tls};
use async_upload::transfer::Outcome;
use servers::front::{Trouble, front};
use servers::web::{How, Web, web};
use servers::{Access, content, crane, exists, files, image, registry, run, to_image};

/// The model that an image holds, as path and content.
fn model(reference: &str) -> Vec<(String, Vec<u8>)> {
    files(reference)
        .into_iter()
        .filter_map(|(path, .., content)| Some((path.strip_prefix("models/")?.to_owned(), content)))
        .collect()
}

fn at(web: &Web, path: &str) -> Source {
    Source::Http(Http {
        url: format!("http://{}{path}", web.address).parse().unwrap(),
        token: None,
        tls: Tls::default(),
    })
}

fn tarball(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        // Written by hand, because the builder refuses the names that have to be refused here.
        let bytes = name.as_bytes();
        header.as_gnu_mut().unwrap().name[..bytes.len()].copy_from_slice(bytes);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (index, (name, content)) in entries.iter().enumerate() {
        let method = match index % 2 {
            0 => zip::CompressionMethod::Stored,
            _ => zip::CompressionMethod::Deflated,
        };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn addresses_of_every_behaviour() {
    let registry = registry(&Access::default());
    let web = web().await;
    let large = content(3, 20_000_003);
    let inside = content(4, 3_000_000);
    let entries: [(&str, &[u8]); 3] = [
        ("m/config.json", b"{}"),
        ("m/deep/weights.bin", &inside),
        ("m/vocab.txt", b"words"),
    ];
    let unpacked: Vec<(String, Vec<u8>)> = entries
        .iter()
        .map(|(name, content)| ((*name).to_owned(), content.to_vec()))
        .collect();
    let one = |name: &str| vec![(name.to_owned(), large.clone())];
    web.serve("/dir/ranges%20x.bin", How::Ranges, large.clone());
    web.serve("/whole.bin", How::Whole, large.clone());
    web.serve("/chunked.bin", How::Chunked, large.clone());
    web.serve("/encoded.bin", How::Gzip, gzip(&large));
    web.serve("/link.bin", How::Redirect("/whole.bin"), "");
    web.serve("/empty.bin", How::Ranges, "");
    let tar = tarball(&entries);
    web.serve("/a.tar", How::Ranges, tar.clone());
    web.serve("/b.tar", How::Whole, tar.clone());
    web.serve("/a.tar.gz", How::Ranges, gzip(&tar));
    web.serve("/b.tgz", How::Chunked, gzip(&tar));
    web.serve("/a.zip", How::Ranges, zipped(&entries));
    let cases = [
        ("/dir/ranges%20x.bin?sig=x.zip", one("ranges x.bin")),
        ("/whole.bin", one("whole.bin")),
        ("/chunked.bin", one("chunked.bin")),
        ("/encoded.bin", one("encoded.bin")),
        ("/link.bin", one("link.bin")),
        ("/empty.bin", vec![("empty.bin".to_owned(), Vec::new())]),
        ("/a.tar", unpacked.clone()),
        ("/b.tar", unpacked.clone()),
        ("/a.tar.gz", unpacked.clone()),
        ("/b.tgz", unpacked.clone()),
        ("/a.zip", unpacked.clone()),
    ];
    for (number, (path, expected)) in cases.into_iter().enumerate() {
        // A repository each, so that nothing is found instead of moved.
        let name = format!("{}/web/case{number}:v1", registry.address);
        let outcome = run(&to_image(at(&web, path), &name, None))
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(model(&name) == expected, "{path}");
        assert_eq!(outcome.sent, outcome.bytes, "{path}");
    }
}

/// What GNU tar, gzip, bzip2, xz and zstd made: in one go, and as two streams one after the other,
/// as programs do that compress with several processors.
#[tokio::test]
async fn archives_of_every_compression() {
    let registry = registry(&Access::default());
    let web = web().await;
    let expected = [
        ("m/config.json".to_owned(), b"{}".to_vec()),
        (
            "m/deep/weights.bin".to_owned(),
            b"the same line again\n".repeat(150_000),
        ),
        ("m/vocab.txt".to_owned(), b"words".to_vec()),
    ];
    let archives = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives");
    let mut count = 0;
    for entry in std::fs::read_dir(archives).unwrap() {
        let entry = entry.unwrap();
        let file = entry.file_name().into_string().unwrap();
        let path = format!("/{file}");
        web.serve(&path, How::Ranges, std::fs::read(entry.path()).unwrap());
        let name = format!("{}/{file}:v1", registry.address);
        run(&to_image(at(&web, &path), &name, None))
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(model(&name) == expected, "{path}");
        count += 1;
    }
    assert_eq!(count, 8);
}

#[tokio::test]
async fn what_must_not_be_unpacked_is_refused() {
    let registry = registry(&Access::default());
    let web = web().await;
    let mut links = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    links
        .append_link(&mut header, "m/passwd", "/etc/passwd")
        .unwrap();
    web.serve(
        "/link.tar.gz",
        How::Ranges,
        gzip(&links.into_inner().unwrap()),
    );
    web.serve("/up.tar", How::Ranges, tarball(&[("../evil", b"x")]));
    web.serve("/up.zip", How::Ranges, zipped(&[("../../evil", b"x")]));
    web.serve(
        "/torn.tar.gz",
        How::Ranges,
        gzip(&tarball(&[("a", b"x")]))[..40].to_vec(),
    );
    web.serve("/no.zip", How::Ranges, "this is no archive");
    web.serve("/far.zip", How::Whole, zipped(&[("a", b"x")]));
    web.serve("/changing.bin", How::Changing, content(5, 20_000_000));
    for (path, word) in [
        ("/link.tar.gz", "outside of the model"),
        ("/up.tar", "leaves the model"),
        ("/up.zip", "leaves the model"),
        ("/torn.tar.gz", "torn.tar.gz"),
        ("/no.zip", "cannot be unpacked"),
        ("/far.zip", "does not serve ranges"),
        ("/changing.bin", "412"),
        ("/none.bin", "404"),
        ("/", "No filename"),
    ] {
        let name = format!("{}/refused:v1", registry.address);
        let error = run(&to_image(at(&web, path), &name, None))
            .await
            .unwrap_err();
        assert!(error.cause.contains(word), "{path}: {error}");
        assert!(!error.retriable, "{path}: {error}");
    }
    assert!(crane(&["catalog", &registry.address]).is_empty());
}

#[tokio::test]
async fn a_spool_holds_what_cannot_be_read_twice() {
    let registry = registry(&Access::default());
    let web = web().await;
    let dir = tempfile::tempdir().unwrap();
    let large = content(6, 5_000_000);
    web.serve("/chunked.bin", How::Chunked, large.clone());
    web.serve(
        "/far.zip",
        How::Chunked,
        zipped(&[("a", b"x"), ("b", b"y")]),
    );
    for (path, expected) in [
        ("/chunked.bin", vec![("chunked.bin".to_owned(), large)]),
        (
            "/far.zip",
            vec![
                ("a".to_owned(), b"x".to_vec()),
                ("b".to_owned(), b"y".to_vec()),
            ],
        ),
    ] {
        let name = format!("{}/spool{}:v1", registry.address, expected.len());
        let mut transfer = to_image(at(&web, path), &name, None);
        transfer.spool = Some(dir.path().join("sync"));
        run(&transfer).await.unwrap();
        assert!(model(&name) == expected, "{path}");
        let left = std::fs::read_dir(dir.path().join("sync")).unwrap().count();
        assert_eq!(left, 0, "{path}: nothing stays there");
    }
}

#[tokio::test]
async fn an_address_whose_connection_breaks_is_read_to_its_end() {
    let registry = registry(&Access::default());
    let web = web().await;
    let large = content(11, 12_000_000);
    web.serve("/ranges.bin", How::Ranges, large.clone());
    web.serve("/whole.bin", How::Whole, large.clone());
    for path in ["/ranges.bin", "/whole.bin"] {
        // What is asked first breaks off, and so does what is asked then; later ones get through.
        let front = front(&web.address, None, |number, _| match number {
            2..=4 => Trouble::CutDown(3_000_000),
            _ => Trouble::None,
        })
        .await;
        let source = Source::Http(Http {
            url: format!("http://{}{path}", front.address).parse().unwrap(),
            token: None,
            tls: Tls::default(),
        });
        let name = format!("{}/broken{path}:v1", registry.address);
        run(&to_image(source, &name, None)).await.unwrap();
        assert!(
            model(&name) == [(path[1..].to_owned(), large.clone())],
            "{path}"
        );
        assert_eq!(front.seen.troubled.load(Ordering::Relaxed), 3, "{path}");
    }
}

#[tokio::test]
async fn a_hub_is_asked_for_one_revision() {
    let registry = registry(&Access::default());
    let web = web().await;
    let (weights, config) = (content(7, 9_000_000), b"{\"a\":1}".to_vec());
    let sha256 = async_upload::oci::digest(&weights).replace("sha256:", "");
    let listing = |oid: &str| {
        format!(
            r#"[{{"type":"directory","path":"onnx","oid":"d","size":0}},
                {{"type":"file","path":".gitattributes","oid":"g","size":3}},
                {{"type":"file","path":"config.json","oid":"c","size":7}},
                {{"type":"file","path":"onnx/model.bin","oid":"m","size":130,
                  "lfs":{{"oid":"{oid}","size":9000000,"pointerSize":130}}}}]"#
        )
    };
    web.serve(
        "/api/models/org/name/revision/main",
        How::Whole,
        r#"{"sha":"abc"}"#,
    );
    web.serve(
        "/api/models/org/name/tree/abc",
        How::Whole,
        listing(&sha256),
    );
    web.serve(
        "/org/name/resolve/abc/config.json",
        How::Whole,
        config.clone(),
    );
    web.serve(
        "/org/name/resolve/abc/onnx/model.bin",
        How::Ranges,
        weights.clone(),
    );
    let source = Source::Hf(Hf {
        endpoint: format!("http://{}", web.address).parse().unwrap(),
        repository: "org/name".to_owned(),
        revision: "main".to_owned(),
        token: Some(Secret::new("hf_token")),
        tls: Tls::default(),
    });
    let name = format!("{}/hf:v1", registry.address);
    run(&to_image(source.clone(), &name, None)).await.unwrap();
    let expected = [
        ("config.json".to_owned(), config),
        ("onnx/model.bin".to_owned(), weights),
    ];
    assert!(model(&name) == expected);
    for asked in web.asked() {
        assert!(asked.contains("authorization=Bearer hf_token"), "{asked}");
    }
    // Content that is not what the hub says never becomes an image.
    web.serve(
        "/api/models/org/name/tree/abc",
        How::Whole,
        listing(&"0".repeat(64)),
    );
    let name = format!("{}/hf-wrong:v1", registry.address);
    let mut transfer = to_image(source, &name, None);
    transfer.retries = 1;
    let error = run(&transfer).await.unwrap_err();
    assert!(error.cause.contains("its source says 000"), "{error}");
    assert!(!exists(&name));
}

async fn from_image(source: &str, name: &str) -> Outcome {
    run(&to_image(Source::Oci(image(source)), name, None))
        .await
        .unwrap()
}

#[tokio::test]
async fn images_and_directories() {
    let registry = registry(&Access::default());
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("model");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::create_dir_all(root.join(".cache/huggingface")).unwrap();
    let weights = content(8, 12_000_000);
    std::fs::write(root.join("weights.bin"), &weights).unwrap();
    std::fs::write(root.join("sub/config.json"), b"{}").unwrap();
    std::fs::write(root.join(".cache/huggingface/x"), b"note").unwrap();
    std::os::unix::fs::symlink("weights.bin", root.join("same.bin")).unwrap();
    let expected = vec![
        ("same.bin".to_owned(), weights.clone()),
        ("sub/config.json".to_owned(), b"{}".to_vec()),
        ("weights.bin".to_owned(), weights),
    ];
    let first = format!("{}/dir:v1", registry.address);
    let outcome = run(&to_image(Source::Dir(root.clone()), &first, None))
        .await
        .unwrap();
    assert!(model(&first) == expected);

    // From the image to another one, in two steps: as it is, and compressed by somebody else.
    let second = format!("{}/copy:v1", registry.address);
    let copied = from_image(&first, &second).await;
    assert!(model(&second) == expected);
    assert_eq!(copied.files, outcome.files);
    let layer = dir.path().join("layer.tar.gz");
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
        std::fs::File::create(&layer).unwrap(),
        flate2::Compression::fast(),
    ));
    builder.append_dir_all("models", root.join("sub")).unwrap();
    builder.into_inner().unwrap().finish().unwrap();
    let other = format!("{}/other:v1", registry.address);
    crane(&["append", "-f", layer.to_str().unwrap(), "-t", &other]);
    let third = format!("{}/third:v1", registry.address);
    from_image(&other, &third).await;
    assert!(model(&third) == [("config.json".to_owned(), b"{}".to_vec())]);

    // A link that leaves the directory.
    std::os::unix::fs::symlink("/etc/passwd", root.join("out")).unwrap();
    let error = run(&to_image(Source::Dir(root), &first, None))
        .await
        .unwrap_err();
    assert!(error.cause.contains("out of the model"), "{error}");
}

use proptest::prelude::*;

use super::*;

const URL: &str = "http://tas.ns.svc.cluster.local/consumer/kserve/v2";

fn there_and_back(before: &str, after: &str) {
    let after = after.replace("URL", URL);
    assert_eq!(add(before, URL), Ok(Some(after.clone())), "{before:?}");
    assert_eq!(add(&after, URL), Ok(None), "{after:?}");
    assert_eq!(
        remove(&after, URL),
        Ok(Some(before.to_owned())),
        "{after:?}"
    );
}

#[test]
fn each_form_takes_one_piece_and_gives_it_back() {
    for (before, after) in [
        ("", "payloadProcessors:\n- URL\n"),
        (
            "# only a remark",
            "payloadProcessors:\n- URL\n# only a remark",
        ),
        ("---\n", "---\npayloadProcessors:\n- URL\n"),
        (
            "# first\npodsPerRuntime: 2 # two",
            "payloadProcessors:\n- URL\n# first\npodsPerRuntime: 2 # two",
        ),
        (
            "  a: 1\n  b: 2\n",
            "  payloadProcessors:\n  - URL\n  a: 1\n  b: 2\n",
        ),
        ("{}", "{\"payloadProcessors\": [ \"URL\" ]}"),
        ("{a: 1}", "{\"payloadProcessors\": [ \"URL\" ], a: 1}"),
        (
            "{\"payloadProcessors\": []}",
            "{\"payloadProcessors\": [\"URL\"]}",
        ),
        (
            "{\"payloadProcessors\":[\"a\"],\"b\":1}",
            "{\"payloadProcessors\":[\"URL\", \"a\"],\"b\":1}",
        ),
        ("payloadProcessors:", "payloadProcessors: URL"),
        (
            "payloadProcessors:\na: 1\n",
            "payloadProcessors: URL\na: 1\n",
        ),
        ("payloadProcessors: ~\n", "payloadProcessors: URL # ~\n"),
        (
            "payloadProcessors: null # why\n",
            "payloadProcessors: URL # null # why\n",
        ),
        (
            "payloadProcessors: http://a\n",
            "payloadProcessors: URL,http://a\n",
        ),
        (
            "payloadProcessors: http://a,http://b",
            "payloadProcessors: URL,http://a,http://b",
        ),
        (
            "payloadProcessors: \"http://a\" # x\n",
            "payloadProcessors: \"URL,http://a\" # x\n",
        ),
        ("payloadProcessors: ''\n", "payloadProcessors: 'URL'\n"),
        ("payloadProcessors: []\n", "payloadProcessors: [URL]\n"),
        ("payloadProcessors: [ ]\n", "payloadProcessors: [URL ]\n"),
        (
            "payloadProcessors: [http://a, http://b]\n",
            "payloadProcessors: [URL, http://a, http://b]\n",
        ),
        (
            "payloadProcessors: [\n  a,  # one\n  b\n]\n",
            "payloadProcessors: [URL, \n  a,  # one\n  b\n]\n",
        ),
        (
            "payloadProcessors:\n- http://a\nb: 1\n",
            "payloadProcessors:\n- URL\n- http://a\nb: 1\n",
        ),
        (
            "payloadProcessors:\n  # of others\n  - http://a # one\n  - \"http://b\"",
            "payloadProcessors:\n  # of others\n  - URL\n  - http://a # one\n  - \"http://b\"",
        ),
        (
            "PAYLOADPROCESSORS: http://a\n",
            "PAYLOADPROCESSORS: URL,http://a\n",
        ),
        (
            "\"payloadProcessors\": http://a\n",
            "\"payloadProcessors\": URL,http://a\n",
        ),
        (
            "a:\r\n  b: 1\r\n",
            "payloadProcessors:\n- URL\na:\r\n  b: 1\r\n",
        ),
    ] {
        there_and_back(before, after);
    }
}

#[test]
fn what_others_did_meanwhile_stays() {
    for (wired, left) in [
        (
            "payloadProcessors:\n- URL\n- http://a\n",
            "payloadProcessors:\n- http://a\n",
        ),
        (
            "a: 1\npayloadProcessors:\n- http://a\n- URL\n",
            "a: 1\npayloadProcessors:\n- http://a\n",
        ),
        (
            "payloadProcessors:\n- http://a\n- URL",
            "payloadProcessors:\n- http://a",
        ),
        (
            "payloadProcessors:\n- URL\n- http://a\n- 'URL'\n",
            "payloadProcessors:\n- http://a\n",
        ),
        (
            "payloadProcessors:\n- URL # keep\n- b\n",
            "payloadProcessors:\n # keep\n- b\n",
        ),
        ("payloadProcessors:\n  - URL\n", "payloadProcessors:\n"),
        (
            "payloadProcessors: [http://a, URL]\n",
            "payloadProcessors: [http://a]\n",
        ),
        (
            "payloadProcessors: [http://a, \"URL\", b]\n",
            "payloadProcessors: [http://a, b]\n",
        ),
        (
            "payloadProcessors: http://a,URL\n",
            "payloadProcessors: http://a\n",
        ),
        (
            "payloadProcessors: http://a,URL,b\n",
            "payloadProcessors: http://a,b\n",
        ),
        ("payloadProcessors: URL\n", "payloadProcessors:\n"),
        // Broken since: only the line that is ours goes.
        (
            "a: [\npayloadProcessors:\n- URL\n",
            "a: [\npayloadProcessors:\n",
        ),
    ] {
        let wired = wired.replace("URL", URL);
        assert_eq!(remove(&wired, URL), Ok(Some(left.to_owned())), "{wired:?}");
    }
    assert_eq!(remove("a: 1\n", URL), Ok(None));
    let elsewhere = format!("other: {URL}\n");
    assert_eq!(remove(&elsewhere, URL), Ok(None), "not in the list");
}

#[test]
fn what_cannot_be_changed_without_a_loss_is_left_with_the_reason() {
    for (text, reason) in [
        ("a: [", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("just text", "no mapping"),
        ("- a\n- b\n", "no mapping"),
        ("a: 1\n---\nb: 2\n", "several documents"),
        (
            "payloadProcessors: a\nPayloadProcessors: b\n",
            "a key twice",
        ),
        ("payloadProcessors:\n  a: 1\n", "write it as a list"),
        ("payloadProcessors: [[a]]\n", "write it as a list"),
        ("payloadProcessors: |\n  http://a\n", "write it as a list"),
        ("payloadProcessors: &x [a]\n", "write it as a list"),
    ] {
        let error = add(text, URL).unwrap_err().to_string();
        assert!(error.contains(reason), "{text:?}: {error}");
        assert!(remove(text, URL).is_ok_and(|left| left.is_none()));
    }
}

/// What the value of a key looks like.
fn value() -> impl Strategy<Value = String> {
    let word = "[a-z]{1,6}";
    let items = prop::collection::vec(word, 0..4);
    prop_oneof![
        Just(String::new()),
        Just(" null".to_owned()),
        word.prop_map(|w| format!(" {w}")),
        word.prop_map(|w| format!(" '{w}' # remark")),
        items.clone().prop_map(|i| format!(" {}", i.join(","))),
        items.clone().prop_map(|i| format!(" [{}]", i.join(", "))),
        (items, 0..3_usize, any::<bool>()).prop_map(|(items, indent, remarks)| {
            let remark = if remarks { " # remark" } else { "" };
            let item = |i: &String| format!("\n{}- {i}{remark}", " ".repeat(indent));
            items.iter().map(item).collect()
        }),
    ]
}

/// A document with other keys, and maybe that of the processors among them.
fn document() -> impl Strategy<Value = String> {
    let ours = prop_oneof![Just("payloadProcessors"), Just("PAYLOADprocessors")];
    let ours = prop::option::of((ours, value()));
    let nested = "[a-z]{1,6}".prop_map(|w| format!("\n  {w}: 1\n  other: [a, {{b: c}}]"));
    let others = prop::collection::btree_map("x[a-z]{1,6}", prop_oneof![value(), nested], 0..3);
    let end = prop_oneof![Just("\n"), Just(""), Just("\n\n# end")];
    let start = prop_oneof![Just(""), Just("---\n"), Just("# start\n")];
    (start, ours, others, any::<bool>(), end).prop_map(|(start, ours, others, first, end)| {
        let mut lines: Vec<_> = others
            .iter()
            .map(|(key, value)| format!("{key}:{value}"))
            .collect();
        if let Some((key, value)) = ours {
            let at = if first { 0 } else { lines.len() };
            lines.insert(at, format!("{key}:{value}"));
        }
        format!("{start}{}{end}", lines.join("\n"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn of_any_document_adding_and_removing_leaves_what_was(text in document()) {
        let wired = add(&text, URL).unwrap().expect("a text");
        prop_assert_eq!(wired.matches(URL).count(), 1);
        prop_assert_eq!(add(&wired, URL), Ok(None));
        prop_assert_eq!(remove(&wired, URL), Ok(Some(text)));
    }

    #[test]
    fn any_text_gives_a_text_or_a_reason(text in "\\PC{0,40}|[-a:\\[\\]{}#,'\"| \n]{0,40}") {
        if let Ok(Some(wired)) = add(&text, URL) {
            prop_assert_eq!(remove(&wired, URL), Ok(Some(text)));
        }
    }
}

#[test]
fn a_remark_that_reads_like_a_word_for_nothing_stays() {
    for before in [
        "payloadProcessors: # nulls\n",
        "payloadProcessors: # null and void\n",
        "payloadProcessors: ~ # null\n",
    ] {
        let wired = add(before, URL).unwrap().expect("a text");
        assert_eq!(remove(&wired, URL), Ok(Some(before.to_owned())), "{wired}");
    }
}

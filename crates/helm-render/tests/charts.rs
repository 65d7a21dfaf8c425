//! Small charts, written in the tests: what templates may do, and what an author is told who does
//! something else.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "helpers of tests"
)]

use helm_render::{Capabilities, Chart, Error, Release, Rendered};
use serde_json::{Value, json};

const METADATA: &str = "apiVersion: v2\nname: small\nversion: 1.2.3\nappVersion: \"9\"\n";

fn load(files: &[(&str, &str)]) -> Result<Chart, Error> {
    let mut all = vec![("Chart.yaml", METADATA), ("values.yaml", "")];
    all.extend_from_slice(files);
    Chart::from_files(all)
}

fn render_with(chart: &Chart, values: Value) -> Result<Rendered, Error> {
    let release = Release::new("mine", "somewhere");
    let capabilities = Capabilities::new("1.35.4").with(["monitoring.coreos.com/v1"]);
    chart.render(values.as_object().unwrap(), &release, &capabilities)
}

/// The `data` of a ConfigMap whose entry `out` is this template.
fn out(template: &str, values: Value) -> Result<Value, Error> {
    let text =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\nout:\n  {template}\n");
    let chart = load(&[("templates/x.yaml", &text)])?;
    let mut rendered = render_with(&chart, values)?;
    Ok(rendered.objects.remove(0).value["out"].take())
}

#[test]
fn templates_see_release_chart_capabilities_and_values() {
    let template = "a: {{ .Release.Name }}/{{ .Release.Namespace }}/{{ .Release.Service }}\n  \
         b: {{ .Chart.Name }}-{{ .Chart.Version }}-{{ .Chart.AppVersion }}\n  \
         c: {{ .Capabilities.APIVersions.Has \"monitoring.coreos.com/v1\" }}\n  \
         d: {{ $.Capabilities.APIVersions.Has \"route.openshift.io/v1\" | quote }}\n  \
         e: {{ .Template.Name }} {{ .Capabilities.KubeVersion.Minor }}\n  \
         f: {{ with .Capabilities }}{{ .APIVersions.Has $.Values.api }}{{ end }}";
    assert_eq!(
        out(template, json!({"api": "apps/v1"})).unwrap(),
        json!({
            "a": "mine/somewhere/Helm", "b": "small-1.2.3-9", "c": true, "d": "false",
            "e": "small/templates/x.yaml 35", "f": true,
        })
    );
}

#[test]
fn includes_ranges_and_variables() {
    let helpers = "{{- define \"name\" -}}{{ .Release.Name | trunc 2 }}{{- end -}}\n\
         {{- define \"labels\" -}}\napp: {{ include \"name\" . }}\n\
         {{- range $key, $value := .Values.labels }}\n{{ $key }}: {{ $value | quote }}{{ end }}\n\
         {{- end -}}";
    let object = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ template \"name\" . }}\n  \
         labels: {{- include \"labels\" . | nindent 4 }}\n{{- $n := 0 }}\n\
         {{- range until 3 }}{{ $n = add $n . }}{{ end }}\nsum: {{ $n }}\n";
    let chart = load(&[("templates/_h.tpl", helpers), ("templates/s.yaml", object)]).unwrap();
    let rendered = render_with(&chart, json!({"labels": {"b": "on", "a": 1}})).unwrap();
    assert_eq!(
        rendered.objects[0].value,
        json!({
            "apiVersion": "v1", "kind": "Secret", "sum": 3,
            "metadata": {"name": "mi", "labels": {"app": "mi", "a": "1", "b": "on"}},
        })
    );
}

/// What a template gave in one file is not what it gives in the next, if it asks which file it is.
#[test]
fn a_template_knows_the_file_that_includes_it() {
    let object =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nfile: {{ include \"file\" . }}\n";
    for asks in [".Template.Name", "get (get . \"Template\") \"Name\""] {
        let helper = format!("{{{{ define \"file\" }}}}{{{{ {asks} }}}}{{{{ end }}}}");
        let chart = load(&[
            ("templates/_h.tpl", &helper),
            ("templates/a.yaml", object),
            ("templates/b.yaml", object),
        ]);
        let rendered = render_with(&chart.unwrap(), json!({})).unwrap();
        let files: Vec<_> = rendered.objects.iter().map(|o| &o.value["file"]).collect();
        assert_eq!(
            files,
            ["small/templates/a.yaml", "small/templates/b.yaml"],
            "{asks}"
        );
    }
}

#[test]
fn numbers_of_values_are_floats_as_in_helm() {
    let values = json!({"port": 8443, "many": 5_000_000, "odd": 9_007_199_254_740_993_u64});
    let template = "a: {{ .Values.port }}\n  b: {{ .Values.many | int }}\n  \
         c: {{ .Values.odd | int64 }}\n  d: {{ .Values.many | quote }}\n  \
         e: {{ toJson .Values }}\n  f: {{ .Values.many }}";
    assert_eq!(
        out(template, values.clone()).unwrap(),
        json!({
            "a": 8443, "b": 5_000_000, "c": 9_007_199_254_740_992_u64, "d": "5e+06",
            "e": {"port": 8443, "many": 5_000_000, "odd": 9_007_199_254_740_992_u64},
            "f": 5_000_000.0,
        })
    );
    let error = out("{{ eq .Values.port 8443 }}", values).unwrap_err();
    assert!(error.to_string().contains("incompatible types"), "{error}");
}

#[test]
fn a_value_is_data_and_never_a_template_or_yaml() {
    for hostile in [
        "a\nb: c",
        "{{ .Values }}",
        "on",
        "- x",
        "'",
        "\"",
        "{}",
        "null",
        "0x1f",
        "\u{2028}",
        "# c",
        "a: b",
        "\ttab",
        "trailing ",
        "1e3",
        "<no value>x",
    ] {
        let template = "a: {{ .Values.x | quote }}\n  b: {{ toYaml .Values.x }}\n  \
             c: {{- toYaml (list .Values.x (dict .Values.x .Values.x)) | nindent 4 }}";
        let expected = hostile.replace("<no value>", "");
        assert_eq!(
            out(template, json!({"x": hostile})).unwrap(),
            json!({"a": expected, "b": expected, "c": [expected, {expected.as_str(): expected}]}),
            "{hostile:?}"
        );
    }
}

#[test]
fn objects_come_in_the_order_of_their_installation() {
    let object = |kind: &str, name: &str| {
        format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n")
    };
    let first = [
        object("Zebra", "z"),
        object("Deployment", "d"),
        object("Service", "b"),
    ]
    .concat();
    let second = [
        object("Service", "a"),
        object("Apple", "p"),
        object("NetworkPolicy", "w"),
    ]
    .concat();
    let test =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: t\n  annotations: {helm.sh/hook: test}\n";
    let chart = load(&[
        ("templates/b.yaml", &second),
        ("templates/a.yaml", &first),
        ("templates/tests/t.yaml", test),
        ("templates/NOTES.txt", "Hello {{ .Release.Name }}"),
        (
            "templates/empty.yaml",
            "{{ if .Values.none }}x{{ end }}\n# words\n---\n",
        ),
    ])
    .unwrap();
    let rendered = render_with(&chart, json!({})).unwrap();
    let names: Vec<_> = rendered
        .objects
        .iter()
        .map(helm_render::Object::name)
        .collect();
    assert_eq!(names, ["w", "b", "a", "d", "p", "z"]);
    assert_eq!(rendered.objects[1].file, "templates/a.yaml");
    assert_eq!(rendered.hooks.len(), 1);
    assert_eq!(rendered.notes.as_deref(), Some("Hello mine"));
}

#[test]
fn an_object_can_be_read_as_a_type() {
    #[derive(serde::Deserialize, Debug)]
    struct Typed {
        out: u8,
    }
    let text = "apiVersion: v1\nkind: X\nmetadata: {name: one}\nout: {{ .Values.out }}\n";
    let chart = load(&[("templates/x.yaml", text)]).unwrap();
    let object = |out| {
        render_with(&chart, json!({"out": out}))
            .unwrap()
            .objects
            .remove(0)
    };
    assert_eq!(object("7").typed::<Typed>().unwrap().out, 7);
    let error = object("many").typed::<Typed>().unwrap_err().to_string();
    assert!(
        error.starts_with("templates/x.yaml: X one: invalid type: string"),
        "{error}"
    );
}

/// What loading or rendering a template says, with these values.
fn refused(template: &str, values: Value) -> String {
    let text = format!("# a line before\nout: {template}\n");
    match load(&[("templates/x.yaml", &text)]) {
        Err(error) => error.to_string(),
        Ok(chart) => render_with(&chart, values).unwrap_err().to_string(),
    }
}

#[test]
fn errors_name_the_file_the_line_and_the_value() {
    let values = || json!({"a": {"b": 1}, "list": [], "text": "x"});
    for (template, said) in [
        (
            "{{ .Values.nope.deeper }}",
            "templates/x.yaml:2: in `out: {{ .Values.nope.deeper }}`: .Values.nope is not set, so there is no .Values.nope.deeper",
        ),
        (
            "{{ $v := .Values }}{{ $v.text.more }}",
            "templates/x.yaml:2: in `out: {{ $v := .Values }}{{ $v.text.more }}`: $v.text is a string, so there is no $v.text.more",
        ),
        (
            "{{ tpl .Values.text . }}",
            "templates/x.yaml:2: in `out: {{ tpl .Values.text . }}`: the function `tpl` is not supported; write the template in the chart",
        ),
        (
            "{{ if .Values.a }}{{ .Values.text | genius }}{{ end }}",
            "templates/x.yaml:2: in `out: {{ if .Values.a }}{{ .Values.text | genius }}{{ end }}`: the function `genius` is not supported",
        ),
        (
            "{{ $_ := set .Values \"x\" 1 }}",
            "templates/x.yaml:2: in `out: {{ $_ := set .Values \"x\" 1 }}`: the function `set` is not supported, because it changes a map in place; make a new one with `dict`",
        ),
        (
            "{{ .Files.Get \"x\" }}",
            "templates/x.yaml:2: in `out: {{ .Files.Get \"x\" }}`: the method `.Files.Get` is not supported; of all methods only `.Capabilities.APIVersions.Has` is",
        ),
        (
            "{{ range .Files }}{{ end }}",
            "templates/x.yaml:2: in `out: {{ range .Files }}{{ end }}`: `.Files` is not supported",
        ),
        (
            "{{ trunc 5 .Values.a.b }}",
            "templates/x.yaml:2: in `out: {{ trunc 5 .Values.a.b }}`: trunc: argument 2 should be a text and is a number of the values, which is a float",
        ),
        (
            "{{ printf \"%d\" .Values.a.b }}",
            "templates/x.yaml:2: in `out: {{ printf \"%d\" .Values.a.b }}`: printf: %d does not print a float64; numbers of values are floats: `int` makes them integers",
        ),
        (
            "{{ fail (printf \"%s is wrong\" .Values.text) }}",
            "templates/x.yaml:2: in `out: {{ fail (printf \"%s is wrong\" .Values.text) }}`: x is wrong",
        ),
        (
            "{{ required \"set .Values.gone\" .Values.gone }}",
            "templates/x.yaml:2: in `out: {{ required \"set .Values.gone\" .Values.gone }}`: set .Values.gone",
        ),
        (
            "{{ include \"nowhere\" . }}",
            "templates/x.yaml:2: in `out: {{ include \"nowhere\" . }}`: undefined template: nowhere",
        ),
        ("{{ if }}", "templates/x.yaml:2: empty command"),
        (
            "x",
            "templates/x.yaml: what it renders at line 2 has no apiVersion, so it is no object",
        ),
        ("[", "templates/x.yaml (rendered):2: unclosed bracket '['"),
    ] {
        assert_eq!(refused(template, values()), said);
    }
}

#[test]
fn an_error_in_an_included_template_names_that_template() {
    let helpers = "{{ define \"deep\" }}\n{{ .Values.a.b.c }}\n{{ end }}";
    let object = "x: {{ include \"deep\" . }}";
    let files = [("templates/_h.tpl", helpers), ("templates/x.yaml", object)];
    let error = render_with(&load(&files).unwrap(), json!({}))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("templates/_h.tpl:2: in `{{ .Values.a.b.c }}`: .Values.a is"),
        "{error}"
    );
    // After a template that went well the place is that of the caller again.
    let helpers = "{{ define \"fine\" }}\n{{ .Release.Name }}\n{{ end }}";
    let object = "x: {{ printf \"%d\" (include \"fine\" .) }}";
    let files = [("templates/_h.tpl", helpers), ("templates/x.yaml", object)];
    let error = render_with(&load(&files).unwrap(), json!({}))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("templates/x.yaml:1: "), "{error}");
}

#[test]
fn what_is_not_set_may_be_asked_for_in_parentheses() {
    let template = "a: {{ ((.Values.x).y).z | default \"none\" }}\n  b: {{ (.Values.t).u }}\n  \
         c: {{ if (.Values.x).y }}yes{{ else }}no{{ end }}";
    assert_eq!(
        out(template, json!({"t": {"u": "there"}})).unwrap(),
        json!({"a": "none", "b": "there", "c": false})
    );
}

#[test]
fn templates_that_include_themselves_end_in_an_error() {
    let text = "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}x: {{ include \"a\" . }}";
    let chart = load(&[("templates/x.yaml", text)]).unwrap();
    // As on a thread of a server.
    let ended = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || render_with(&chart, json!({})).unwrap_err().to_string());
    let error = ended.unwrap().join().unwrap();
    assert!(error.contains("more than 64 deep, last `a`"), "{error}");
}

#[test]
fn a_chart_that_needs_more_is_refused_when_it_is_loaded() {
    for (file, text, said) in [
        (
            "charts/sub/Chart.yaml",
            "name: sub",
            "charts/sub/Chart.yaml: charts of other charts",
        ),
        (
            "crds/x.yaml",
            "",
            "crds/x.yaml: custom resource definitions",
        ),
        (
            "Chart.yaml",
            "name: x\ndependencies: []\n",
            "Chart.yaml: `dependencies`",
        ),
        (
            "Chart.yaml",
            "version: 1\n",
            "Chart.yaml: the field `name` is missing",
        ),
        ("Chart.yaml", "name: [\n", "Chart.yaml:1: "),
        (
            "values.yaml",
            "a: 1\nb: 2\na: 3\n",
            "values.yaml:3: the key `a` is there twice",
        ),
        ("values.yaml", "- a\n", "values.yaml: it should be a map"),
        ("values.schema.json", "{", "values.schema.json: EOF"),
        (
            "values.schema.json",
            "{\"type\": 5}",
            "values.schema.json: ",
        ),
        ("templates/x.yaml", "{{ .x", "templates/x.yaml:1: "),
    ] {
        let error = load(&[(file, text)]).unwrap_err().to_string();
        assert!(error.starts_with(said), "{file}: {error}");
    }
    assert!(
        Chart::from_files([("values.yaml", "")])
            .unwrap_err()
            .to_string()
            .contains("missing")
    );
    let nowhere = Chart::from_directory("nowhere/at/all".as_ref()).unwrap_err();
    assert!(
        nowhere.to_string().starts_with("nowhere/at/all: "),
        "{nowhere}"
    );
}

#[test]
fn the_schema_is_asked_and_values_are_not_told() {
    let schema = json!({
        "type": "object",
        "properties": {
            "replicas": {"type": "integer", "minimum": 1},
            "db": {"type": "object", "properties": {"password": {"type": "integer"}}},
        },
        "additionalProperties": false,
    })
    .to_string();
    let object = "apiVersion: v1\nkind: X\nmetadata: {name: one}\nreplicas: {{ .Values.replicas }}";
    let chart = load(&[
        ("values.schema.json", &schema),
        ("values.yaml", "replicas: 1"),
        ("templates/x.yaml", object),
    ])
    .unwrap();
    assert!(render_with(&chart, json!({"replicas": 3})).is_ok());
    let values = json!({"replicas": 0, "db": {"password": "s3cret"}, "replica": 2});
    let error = render_with(&chart, values).unwrap_err().to_string();
    for part in ["replicas: ", "db.password: ", "replica'"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn one_chart_serves_many_threads() {
    let object = "apiVersion: v1\nkind: X\nmetadata: {name: {{ .Values.n }}}";
    let chart = load(&[("templates/x.yaml", object)]).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let chart = &chart;
            scope.spawn(move || {
                for round in 0..50 {
                    let name = format!("t{thread}-{round}");
                    let rendered = render_with(chart, json!({"n": name})).unwrap();
                    assert_eq!(rendered.objects[0].name(), name);
                }
            });
        }
    });
}

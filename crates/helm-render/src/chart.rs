//! A chart: loaded once, rendered any number of times.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gotmpl::{Template, Value};
use serde_json::{Map, Value as Json};

use crate::capabilities::{Capabilities, Release, map};
use crate::compile::Compiled;
use crate::error::{Error, Place};
use crate::objects::{self, Rendered};
use crate::run::{self, Run};
#[cfg(feature = "schema")]
use crate::schema::Schema;
use crate::values::{coalesce, from_json};
use crate::{functions, yaml};

const METADATA: &str = "Chart.yaml";
const VALUES: &str = "values.yaml";
const SCHEMA: &str = "values.schema.json";
const TEMPLATES: &str = "templates/";
const NOTES: &str = "templates/NOTES.txt";

/// A Helm chart, parsed. Rendering it changes nothing in it, so threads can share one.
pub struct Chart {
    name: String,
    metadata: Value,
    defaults: Map<String, Json>,
    #[cfg(feature = "schema")]
    schema: Option<Schema>,
    template: Template,
    /// Whether a template asks for `.Template`, which is another one in each file.
    asks_file: bool,
    /// Names and texts of the templates, to find the place of an error.
    sources: Vec<(String, String)>,
    /// The files that render something, by name: `templates/service.yaml`.
    files: Vec<String>,
}

impl std::fmt::Debug for Chart {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Chart")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Chart {
    /// Reads a chart's directory. Files that rendering does not need (`README.md`, `.helmignore`)
    /// are left alone.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or as in [`Self::from_files`].
    pub fn from_directory(directory: &Path) -> Result<Self, Error> {
        let mut files = Vec::new();
        read(directory, "", &mut files)?;
        Self::from_files(
            files
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str())),
        )
    }

    /// Takes a chart's files as pairs of name and text: `("templates/service.yaml", "…")`. So a
    /// program can hold a chart with `include_str!`.
    ///
    /// # Errors
    ///
    /// The chart lacks a file, has what is not supported (subcharts, custom resource definitions,
    /// a function), or a file is not what its name says. Each names file and line.
    pub fn from_files<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let files: BTreeMap<&str, &str> = files.into_iter().collect();
        refuse(&files)?;
        let metadata = document(&files, METADATA)?;
        let name = metadata
            .get("name")
            .and_then(Json::as_str)
            .map(str::to_owned);
        let name = name.ok_or_else(|| wrong(METADATA, "the field `name` is missing"))?;
        if metadata.contains_key("dependencies") {
            return Err(wrong(
                METADATA,
                "`dependencies` are not supported: charts of other charts are not rendered here",
            ));
        }
        let defaults = document(&files, VALUES)?;
        #[cfg(feature = "schema")]
        let schema = files
            .get(SCHEMA)
            .map(|text| Schema::parse(SCHEMA, text))
            .transpose()?;

        let templates = || files.iter().filter(|(file, _)| file.starts_with(TEMPLATES));
        // Helm's order: of two templates with the same name that of the shallower file counts.
        let owned = |(file, text): (&&str, &&str)| ((*file).to_owned(), (*text).to_owned());
        let mut sources: Vec<_> = templates().map(owned).collect();
        sources
            .sort_by_key(|(file, _)| std::cmp::Reverse((file.matches('/').count(), file.clone())));
        let (template, _) = compile(&name, &sources, false)?;
        let asks_file = |(_, text): &(String, String)| {
            text.contains(".Template") || text.contains("\"Template\"")
        };
        Ok(Self {
            metadata: metadata_value(&metadata),
            name,
            defaults,
            #[cfg(feature = "schema")]
            schema,
            asks_file: sources.iter().any(asks_file),
            sources,
            template,
            files: templates()
                .filter(|(file, _)| renders(file))
                .map(|(file, _)| (*file).to_owned())
                .collect(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What `values.yaml` says.
    #[must_use]
    pub fn defaults(&self) -> &Map<String, Json> {
        &self.defaults
    }

    /// Renders all files with these values over the chart's own.
    ///
    /// Numbers are those of a file of values: over 2^53 they are as exact as a float is.
    ///
    /// # Errors
    ///
    /// The values do not fit the schema (with the feature `schema`); a template fails, with file, line and path of the value;
    /// or what it renders is no object.
    pub fn render(
        &self,
        values: &Map<String, Json>,
        release: &Release,
        capabilities: &Capabilities,
    ) -> Result<Rendered, Error> {
        let values = Json::Object(coalesce(&self.defaults, values));
        #[cfg(feature = "schema")]
        if let Some(schema) = &self.schema {
            schema.check(&values)?;
        }
        let values = from_json(&values);
        let (release, capabilities) = (release.value(), capabilities.value());
        let run = Run::new(&self.template, self.asks_file);
        let mut rendered = Rendered::default();
        let mut all = Vec::new();
        for file in &self.files {
            let name = format!("{}/{file}", self.name);
            let data = map([
                ("Values", values.clone()),
                ("Release", release.clone()),
                ("Chart", self.metadata.clone()),
                ("Capabilities", capabilities.clone()),
                (
                    "Template",
                    map([
                        ("Name", name.as_str().into()),
                        ("BasePath", format!("{}/templates", self.name).into()),
                    ]),
                ),
            ]);
            let text = run
                .file(&name, &data)
                .or_else(|_| self.find(file, &name, &data))?;
            if file == NOTES {
                rendered.notes = Some(text);
            } else {
                all.extend(objects::split(file, &text)?);
            }
        }
        (rendered.objects, rendered.hooks) = objects::sort(all);
        Ok(rendered)
    }

    /// Renders a file that failed once more, with every place noted, to say where. Noting them always
    /// would cost every render a seventh.
    fn find(&self, file: &str, name: &str, data: &Value) -> Result<String, Error> {
        let (template, places) = compile(&self.name, &self.sources, true)?;
        let run = Run::new(&template, self.asks_file);
        run.file(name, data).map_err(|message| {
            let nowhere = || Place {
                file: file.to_owned(),
                line: 1,
                source: String::new(),
            };
            let place = places.get(run.place()).cloned();
            Error::Template {
                place: place.unwrap_or_else(nowhere),
                message,
            }
        })
    }
}

/// All templates of a chart as one, and the places that it notes.
fn compile(
    chart: &str,
    files: &[(String, String)],
    noting: bool,
) -> Result<(Template, Vec<Place>), Error> {
    let functions = functions::table();
    let mut compiled = Compiled {
        noting,
        ..Compiled::default()
    };
    for (file, text) in files {
        compiled.add(&format!("{chart}/{file}"), file, text, &functions)?;
    }
    let mut template = Template::new("").funcs(functions).funcs(run::internal());
    for (name, tree) in compiled.trees {
        template = template.add_parse_tree(&name, tree);
    }
    Ok((template, compiled.places))
}

/// Reads a file of values.
///
/// # Errors
///
/// It is not YAML, or not a map.
pub fn read_values(file: &str, text: &str) -> Result<Map<String, Json>, Error> {
    let mut documents = yaml::read(text).map_err(|problem| Error::Yaml {
        file: file.to_owned(),
        line: problem.line,
        message: problem.message,
    })?;
    match documents.pop().map(|document| document.value) {
        _ if !documents.is_empty() => Err(wrong(file, "there is more than one document")),
        None | Some(Json::Null) => Ok(Map::new()),
        Some(Json::Object(map)) => Ok(map),
        Some(_) => Err(wrong(file, "it should be a map of fields")),
    }
}

fn document(files: &BTreeMap<&str, &str>, file: &str) -> Result<Map<String, Json>, Error> {
    let text = files
        .get(file)
        .ok_or_else(|| wrong(file, "the file is missing"))?;
    read_values(file, text)
}

fn refuse(files: &BTreeMap<&str, &str>) -> Result<(), Error> {
    for (folder, what) in [
        ("charts/", "charts of other charts are not rendered here"),
        (
            "crds/",
            "custom resource definitions of a chart are not supported: install them apart",
        ),
    ] {
        if let Some(file) = files.keys().find(|file| file.starts_with(folder)) {
            return Err(wrong(file, what));
        }
    }
    Ok(())
}

fn wrong(file: &str, message: &str) -> Error {
    Error::Chart {
        file: file.to_owned(),
        message: message.to_owned(),
    }
}

/// Files whose names start with `_` only define templates for others.
fn renders(file: &str) -> bool {
    !file.rsplit('/').next().unwrap_or_default().starts_with('_')
}

/// `.Chart`: the fields of `Chart.yaml` with the names that they have in Go.
fn metadata_value(metadata: &Map<String, Json>) -> Value {
    let fields = metadata.iter().map(|(key, value)| {
        let name = match key.as_str() {
            "apiVersion" => "APIVersion".into(),
            key => capital(key),
        };
        let value = match value {
            Json::Array(items) => Value::List(items.iter().map(person).collect()),
            other => from_json(other),
        };
        (name.into(), value)
    });
    let root = ("IsRoot".into(), Value::Bool(true));
    Value::Map(std::sync::Arc::new(fields.chain([root]).collect()))
}

/// A maintainer; keywords and sources are texts.
fn person(item: &Json) -> Value {
    let Json::Object(fields) = item else {
        return from_json(item);
    };
    let fields = fields.iter().map(|(key, value)| {
        let name = if key == "url" {
            "URL".into()
        } else {
            capital(key)
        };
        (name.into(), from_json(value))
    });
    Value::Map(std::sync::Arc::new(fields.collect()))
}

fn capital(key: &str) -> String {
    let mut characters = key.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

fn read(directory: &Path, prefix: &str, files: &mut Vec<(String, String)>) -> Result<(), Error> {
    let failed = |path: PathBuf| move |source| Error::Read { path, source };
    for entry in std::fs::read_dir(directory).map_err(failed(directory.to_owned()))? {
        let path = entry.map_err(failed(directory.to_owned()))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            read(&path, &format!("{name}/"), files)?;
        } else if [METADATA, VALUES, SCHEMA].contains(&name.as_str())
            || [TEMPLATES, "charts/", "crds/"]
                .iter()
                .any(|folder| name.starts_with(folder))
        {
            let text = std::fs::read_to_string(&path).map_err(failed(path))?;
            files.push((name, text));
        }
    }
    Ok(())
}

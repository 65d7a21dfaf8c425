//! A Helm chart and values in, Kubernetes objects out, in process: no `helm`, no files, no cluster.
//!
//! ```no_run
//! use helm_render::{Capabilities, Chart, Release};
//!
//! # fn main() -> Result<(), helm_render::Error> {
//! let chart = Chart::from_directory("charts/mlflow".as_ref())?;
//! let values = helm_render::read_values("mine.yaml", "replicaCount: 2")?;
//! let release = Release::new("mlflow", "opendatahub");
//! let rendered = chart.render(&values, &release, &Capabilities::new("v1.35.4"))?;
//! for object in &rendered.objects {
//!     println!("{} {}", object.kind(), object.name());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It gives the objects that `helm template` gives, or an error. What it does not have is an error
//! too, when the chart is loaded: subcharts, custom resource definitions, `tpl`, `lookup`, `.Files`,
//! methods but `.Capabilities.APIVersions.Has`, and the functions that `functions` leaves out.
//! It is stricter than Helm where Helm goes on with nonsense: a key that is there twice, an integer
//! made of a text that is none, a `printf` whose verbs do not fit. And it keeps what Helm loses:
//! there `toYaml` of a text with the character DEL is empty, and NEL becomes a space.

mod capabilities;
mod chart;
mod compile;
mod error;
mod format;
mod functions;
mod objects;
mod run;
#[cfg(feature = "schema")]
mod schema;
mod values;
mod yaml;

pub use capabilities::{Capabilities, Release};
pub use chart::{Chart, read_values};
pub use error::{Error, Place};
pub use objects::{Object, Rendered};
pub use values::overlay;

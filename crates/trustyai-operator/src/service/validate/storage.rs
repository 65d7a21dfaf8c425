//! Where the data is, and what the claim is made with.

use api::common::DeletionPolicy;
use api::trustyai::v1::{Storage, StorageFormat, TrustyAIService, TrustyAIServiceSpec};
use kube::ResourceExt;
use resources::names::ObjectName;
use resources::quantity::{bytes, is_smaller};

use super::super::names::CLAIM;
use super::super::observe::{LiveClaim, Observation};
use super::super::validated::{Claim, Fixed, Folder};

/// Access modes with which several pods may use a volume at once.
const MANY: &str = "ReadWriteMany";
const ONE: &str = "ReadWriteOnce";

/// Where the data is.
pub(super) struct Places {
    pub(super) folder: Option<Folder>,
    pub(super) claim: Option<Claim>,
    /// Access modes of the volume that pods mount.
    modes: Vec<String>,
    migrates: bool,
}

/// A field and what is wrong with it.
type Problem = (&'static str, String);

/// Reads where the data is.
pub(super) fn storage(
    resource: &TrustyAIService,
    seen: &Observation,
    warnings: &mut Vec<String>,
) -> Result<Places, Problem> {
    let (spec, storage) = (&resource.spec, &resource.spec.storage);
    let path = filled(storage.folder.as_ref());
    let filename = spec.data.as_ref().and_then(|data| data.filename.as_ref());
    let in_files = storage.format == StorageFormat::Pvc;
    let migrates = !in_files && path.is_some() && filled(filename).is_some();
    let path = match path {
        _ if !in_files && !migrates => None,
        None => return Err(("spec.storage.folder", NO_FOLDER.to_owned())),
        Some(path) => Some(checked(path)?),
    };
    if in_files && spec.data.is_none() {
        warnings
            .push("spec.data is absent: files get no suffix; set filename and format".to_owned());
    }
    let name = match filled(storage.existing_claim.as_ref()) {
        Some(existing) => existing.to_owned(),
        None => format!("{}{CLAIM}", resource.name_any()),
    };
    let claim = ObjectName::parse(&name);
    let claim = claim.map_err(|error| ("spec.storage.existingClaim", error.to_string()))?;
    let made = made(resource, seen, path.is_some(), warnings)?;
    let live = seen.claim.as_ref();
    let modes = match (&made, live) {
        (_, Some(live)) => live.access_modes.clone(),
        (Some(made), None) => made.fixed.access_modes.clone(),
        (None, None) => vec![ONE.to_owned()],
    };
    Ok(Places {
        folder: path.map(|path| Folder { path, claim }),
        claim: made,
        modes,
        migrates,
    })
}

const NO_FOLDER: &str =
    "absent; with format PVC, name the directory that the volume is mounted at, as /inputs";

fn filled(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// A directory that something can be mounted at. The schema says the same of format PVC.
fn checked(path: &str) -> Result<String, Problem> {
    let root = path.bytes().all(|byte| byte == b'/');
    let trimmed = path.trim_end_matches('/');
    let taken = ["/etc/tls/internal", "/etc/tls/db"].contains(&trimmed);
    if root || taken || path.contains(':') {
        return Err((
            "spec.storage.folder",
            format!(
                "{path:?} cannot be mounted at: it is the root, holds certificates, or has a ':'; \
                 name another directory, as /inputs"
            ),
        ));
    }
    Ok(path.to_owned())
}

/// The claim that is made; `None` where somebody else's is used, or none.
fn made(
    resource: &TrustyAIService,
    seen: &Observation,
    is_mounted: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<Claim>, Problem> {
    let storage = &resource.spec.storage;
    if filled(storage.existing_claim.as_ref()).is_some() {
        let ignored = filled(storage.size.as_ref()).filter(|_| is_mounted);
        if ignored.is_some() {
            warnings.push("spec.storage.size has no effect: existingClaim has its own".to_owned());
        }
        return Ok(None);
    }
    let live = seen.claim.as_ref();
    match live {
        // What somebody prepared is used as it is.
        Some(live) if !live.ours => return Ok(None),
        None if !is_mounted => return Ok(None),
        _ => {}
    }
    let asked = fixed(storage, seen);
    let fixed = match live {
        None => asked,
        Some(live) => {
            let known = kept(live);
            if is_mounted && known != asked && says_more(storage) {
                warnings.push(format!(
                    "spec.storage differs from the claim, which cannot change: accessModes {}, \
                     storageClassName {}, pv {}; move the data to a claim of another resource",
                    known.access_modes.join(", "),
                    known
                        .storage_class_name
                        .as_deref()
                        .unwrap_or("as by default"),
                    known.volume_name.as_deref().unwrap_or("any"),
                ));
            }
            known
        }
    };
    Ok(Some(Claim {
        size: size(storage, live, is_mounted, warnings)?,
        fixed,
        retain: resource.spec.deletion_policy == Some(DeletionPolicy::Retain),
    }))
}

/// Whether the spec says anything about what is fixed.
fn says_more(storage: &Storage) -> bool {
    storage.pv.is_some() || storage.storage_class_name.is_some() || !storage.access_modes.is_empty()
}

/// What a new claim is asked for with.
fn fixed(storage: &Storage, seen: &Observation) -> Fixed {
    let modes = storage
        .access_modes
        .iter()
        .map(|mode| mode.as_str().to_owned());
    let mut access_modes: Vec<_> = modes.collect();
    if access_modes.is_empty() {
        access_modes.push(ONE.to_owned());
    }
    let chosen = storage.storage_class_name.clone();
    let Some(volume) = filled(storage.pv.as_ref()) else {
        return Fixed {
            access_modes,
            storage_class_name: chosen,
            ..Fixed::default()
        };
    };
    // A claim only binds to a volume of the same class and mode.
    let live = seen.volume.clone().flatten();
    let (class, mode) = live.map_or_else(
        || (String::new(), "Filesystem".to_owned()),
        |live| (live.storage_class, live.mode),
    );
    Fixed {
        access_modes,
        storage_class_name: Some(chosen.unwrap_or(class)),
        volume_name: Some(volume.to_owned()),
        volume_mode: Some(mode),
    }
}

/// What a claim that is there was asked for with. One of the Go operator says nothing but its mode.
fn kept(live: &LiveClaim) -> Fixed {
    let known = live
        .fixed
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok());
    known.unwrap_or_else(|| Fixed {
        access_modes: live.access_modes.clone(),
        ..Fixed::default()
    })
}

/// The size asked for, never smaller than that of the claim that is there: it cannot shrink.
fn size(
    storage: &Storage,
    live: Option<&LiveClaim>,
    is_mounted: bool,
    warnings: &mut Vec<String>,
) -> Result<String, Problem> {
    const FIELD: &str = "spec.storage.size";
    let live = live.and_then(|live| live.size.clone());
    let asked = filled(storage.size.as_ref()).filter(|_| is_mounted);
    match (asked, live) {
        (None, Some(live)) => Ok(live),
        (None, None) => Err((
            FIELD,
            "absent; set the size of the volume, as 1Gi, or name an existing claim in existingClaim"
                .to_owned(),
        )),
        (Some(asked), live) => {
            if !bytes(asked).is_some_and(|bytes| bytes > 0.0) {
                let text = format!("{asked:?} is no quantity greater than zero; write it as 1Gi");
                return Err((FIELD, text));
            }
            match live {
                Some(live) if is_smaller(asked, &live) => {
                    warnings.push(format!(
                        "{FIELD} {asked} is smaller than the volume, which has {live} and cannot \
                         shrink; it keeps its size"
                    ));
                    Ok(live)
                }
                _ => Ok(asked.to_owned()),
            }
        }
    }
}

impl Places {
    /// Number of pods that the storage allows.
    pub(super) fn replicas(&self, spec: &TrustyAIServiceSpec, warnings: &mut Vec<String>) -> i32 {
        let operand = spec.operand.as_ref().and_then(|operand| operand.replicas);
        let (field, asked) = match (spec.replicas, operand) {
            (Some(asked), _) => ("spec.replicas", asked),
            (None, Some(asked)) => ("spec.operand.replicas", asked),
            (None, None) => return 1,
        };
        if asked < 0 {
            warnings.push(format!(
                "{field} {asked} is less than none, and 1 runs; write 0 or more"
            ));
            return 1;
        }
        if asked > 1 && self.migrates {
            warnings.push(format!(
                "{field} {asked}: 1 runs while data moves to the database"
            ));
            return 1;
        }
        let shared = self.folder.is_none() || self.modes.iter().any(|mode| mode == MANY);
        if asked > 1 && !shared {
            warnings.push(format!(
                "{field} {asked}: 1 runs, because pods on several nodes cannot write the volume; \
                 use accessModes [{MANY}] or format DATABASE"
            ));
            return 1;
        }
        asked
    }
}

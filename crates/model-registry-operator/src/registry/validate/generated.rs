//! The generated Postgres, and what becomes of its data.

use api::common::DeletionPolicy;
use api::modelregistry::v1beta1::{ModelRegistry, ModelRegistrySpec, Postgres};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use resources::names::{ObjectName, ServiceName};
use resources::quantity::is_smaller;

use super::super::names::{self, RegistryName};
use super::super::observe::{LiveVolume, Observation};
use super::super::references::filled;
use super::super::trouble;
use super::super::validated::{Generated, LeftData};
use super::super::values::Image;
use super::{Problem, Reader, salt};

impl Reader {
    /// `None` in the outer option when something is wrong.
    #[expect(
        clippy::option_option,
        reason = "the inner one is whether there is a generated Postgres"
    )]
    pub(super) fn generated(
        &mut self,
        name: &RegistryName,
        resource: &ModelRegistry,
        spec: &ModelRegistrySpec,
        observation: &Observation,
    ) -> Option<Option<Generated>> {
        let asked = resource.spec.postgres.as_ref();
        let running = spec.postgres.as_ref().is_some_and(Postgres::is_generated);
        let retain = deletion_policy(resource) == Some(DeletionPolicy::Retain);
        if !running
            && !(retain && (observation.volume.is_some() || observation.credentials.is_some()))
        {
            return Some(None);
        }
        let storage = asked.and_then(|postgres| postgres.storage.as_ref());
        let live = observation.volume.as_ref();
        // It is fixed once the volume exists, and an apply without it would ask to remove it.
        let storage_class = match live {
            Some(live) => live.storage_class.as_ref().filter(|_| live.class_is_ours),
            None => storage.and_then(|storage| filled(storage.storage_class_name.as_ref())),
        };
        let storage_class =
            match storage_class {
                Some(class) => Some(self.keep(ObjectName::parse(class).map_err(|source| {
                    Problem::Reference {
                        field: "spec.postgres.storage.storageClassName".to_owned(),
                        source,
                    }
                }))?),
                None => None,
            };
        let image = asked.and_then(|postgres| filled(postgres.image.as_ref()));
        let image = image.or(spec
            .postgres
            .as_ref()
            .and_then(|postgres| postgres.image.as_ref()));
        let image = self.value(
            "spec.postgres.image",
            Image::parse(image.map_or("", String::as_str)),
        );
        let end = names::POSTGRES;
        let service = self.named(ServiceName::derive(
            "name of the database's Service",
            "",
            name.as_str(),
            end,
        ));
        let label = self.named(name.label("label of the database", "", end));
        let secret = self.named(name.object("name of the Secret", "", names::POSTGRES_CREDENTIALS));
        let volume = self.named(name.object("name of the volume", "", names::POSTGRES_STORAGE));
        Some(Some(Generated {
            name: service?,
            label: label?,
            secret: secret?,
            volume: volume?,
            image: image?,
            credentials_hash: observation
                .credentials
                .as_ref()
                .map(|credentials| trouble::credentials_hash(credentials, salt(resource))),
            credentials: observation.credentials.clone(),
            has_volume: live.is_some(),
            size: volume_size(storage.and_then(|s| s.size.as_ref()), live),
            storage_class,
            retain,
            running,
            live: observation.postgres.clone(),
        }))
    }
}

/// The size asked for, never smaller than the volume that is there: it cannot shrink.
fn volume_size(asked: Option<&Quantity>, live: Option<&LiveVolume>) -> String {
    const DEFAULT: &str = "5Gi";
    let live = live.and_then(|live| live.size.as_deref());
    match (asked.map(|size| size.0.as_str()), live) {
        (Some(asked), Some(live)) if is_smaller(asked, live) => live.to_owned(),
        (Some(asked), _) => asked.to_owned(),
        (None, Some(live)) => live.to_owned(),
        (None, None) => DEFAULT.to_owned(),
    }
}

/// What became of the data of a Postgres that is switched off.
pub(super) fn left_data(
    resource: &ModelRegistry,
    spec: &ModelRegistrySpec,
    observation: &Observation,
) -> Option<LeftData> {
    observation.volume.as_ref()?;
    if spec.postgres.as_ref().is_some_and(Postgres::is_generated) {
        return None;
    }
    Some(match deletion_policy(resource) {
        None => LeftData::Kept,
        Some(DeletionPolicy::Retain) => LeftData::Retained,
        Some(DeletionPolicy::Delete) => LeftData::Deleted,
    })
}

pub(super) fn deletion_policy(resource: &ModelRegistry) -> Option<DeletionPolicy> {
    resource
        .spec
        .postgres
        .as_ref()
        .and_then(|postgres| postgres.deletion_policy)
}

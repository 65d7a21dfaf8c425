//! `modelregistry.opendatahub.io/v1alpha1`, the version of the Istio era. Deprecated.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::database::MySql;
use super::database::SslMode;
pub use super::endpoint::{Grpc, Rest, ServiceRoute};
pub use super::proxy::OAuthProxy;
use crate::common::{ConfigMapKeyValue, SecretKeyValue};
use crate::{rules, schema};

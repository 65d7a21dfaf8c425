//! Group `trustyai.opendatahub.io`.

pub mod conversion;
pub mod monitoring;
pub mod rules;
pub mod serving;
pub mod storage;
pub mod v1;

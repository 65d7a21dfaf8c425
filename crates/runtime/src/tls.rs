//! Serving TLS: which versions and ciphers, certificates that change while we serve, and a
//! listener on which a slow client delays nobody.

mod certificate;
mod listener;
mod profile;
mod validity;

use std::{io, path::PathBuf};

pub use self::{
    certificate::ServingCertificate, listener::TlsListener, profile::TlsProfile,
    validity::not_after,
};

/// Something about certificates that does not work.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate or key that is none.
    #[error("{0}")]
    Pem(String),
    /// rustls refuses the pair, the versions or the ciphers.
    #[error("TLS cannot be served like this: {0}")]
    Refused(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("no self-signed certificate could be made: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

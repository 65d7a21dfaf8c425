//! Requests to a bucket.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use rusty_s3::actions::S3Action;
use rusty_s3::{Credentials, UrlStyle};
use url::Url;

use crate::failure::Failure;
use crate::http::{self, Use};
use crate::settings::{Addressing, S3};

/// How long a signature holds. Each attempt is signed anew.
const SIGNED_FOR: Duration = Duration::from_hours(1);
const DEFAULT_REGION: &str = "us-east-1";

/// A bucket and who asks.
#[derive(Debug)]
pub struct Bucket {
    /// For short requests and for reading.
    pub reader: Client,
    /// For sending content.
    pub sender: Client,
    /// Where it is.
    pub bucket: rusty_s3::Bucket,
    credentials: Option<Credentials>,
    /// Server and bucket, as part of the identity of what is in it.
    pub place: String,
}

impl Bucket {
    /// The bucket of `settings`. No request is made.
    pub fn new(settings: &S3) -> Result<Self, Failure> {
        let region = settings.region.as_deref().unwrap_or(DEFAULT_REGION);
        let own = settings.endpoint.is_some();
        let endpoint = match &settings.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => amazon(region)?,
        };
        let style = match settings.addressing {
            Addressing::Path => UrlStyle::Path,
            // A dot in the name is one too many for the certificate of AWS.
            Addressing::Auto if own || settings.bucket.contains('.') => UrlStyle::Path,
            Addressing::Auto | Addressing::VirtualHost => UrlStyle::VirtualHost,
        };
        let place = format!("{}/{}", http::shown(&endpoint), settings.bucket);
        let bucket =
            rusty_s3::Bucket::new(endpoint, style, settings.bucket.clone(), region.to_owned())
                .map_err(|error| {
                    Failure::lasting(
                        format!("bucket {:?}: {error}", settings.bucket),
                        "Correct the bucket's name or the endpoint",
                    )
                })?;
        let credentials = settings.credentials.as_ref().map(|keys| {
            let id = keys.access_key_id.reveal();
            let secret = keys.secret_access_key.reveal();
            match &keys.session_token {
                Some(token) => Credentials::new_with_token(id, secret, token.reveal()),
                None => Credentials::new(id, secret),
            }
        });
        Ok(Self {
            reader: http::client(&settings.tls, Use::Read)?,
            sender: http::client(&settings.tls, Use::Send)?,
            bucket,
            credentials,
            place,
        })
    }

    /// Who asks, for making an action.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// A signed request, to be sent by `client`.
    pub fn request<'a, A: S3Action<'a>>(&self, client: &Client, action: &A) -> RequestBuilder {
        let method = match A::METHOD {
            rusty_s3::Method::Get => Method::GET,
            rusty_s3::Method::Head => Method::HEAD,
            rusty_s3::Method::Put => Method::PUT,
            rusty_s3::Method::Post => Method::POST,
            rusty_s3::Method::Delete => Method::DELETE,
        };
        client.request(method, action.sign(SIGNED_FOR))
    }

    /// Sends a short request.
    pub async fn ask<'a, A: S3Action<'a>>(&self, action: &A) -> Result<Response, Failure> {
        http::send(self.request(&self.reader, action)).await
    }
}

fn amazon(region: &str) -> Result<Url, Failure> {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    Url::parse(&format!("https://s3.{region}.{domain}")).map_err(|error| {
        Failure::lasting(
            format!("region {region:?}: {error}"),
            "Give a region such as us-east-1, or an endpoint",
        )
    })
}

/// An answer that should be XML, as text.
pub async fn text(response: Response) -> Result<String, Failure> {
    response.text().await.map_err(http::broken)
}

/// An answer that is not the XML that it should be.
#[must_use]
pub fn not_xml(error: &dyn std::error::Error) -> Failure {
    Failure::lasting(
        format!("the server's answer is no S3: {error}"),
        "Check the endpoint; it must be the server's S3 address",
    )
}

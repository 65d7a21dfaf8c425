//! Addresses that servers listen on, as Go writes them.

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use tokio::net::TcpListener;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindAddress {
    /// Nowhere: `0` or nothing.
    Disabled,
    /// This port on every interface: `:8443`.
    Everywhere(u16),
    /// `HOST:PORT`.
    Host(String),
}

/// An address that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write HOST:PORT, :PORT for every interface, or 0 to turn it off; PORT is 0 to 65535")]
pub struct BindAddressError;

impl FromStr for BindAddress {
    type Err = BindAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text, "" | "0") {
            return Ok(Self::Disabled);
        }
        let (host, port) = text.rsplit_once(':').ok_or(BindAddressError)?;
        let port: u16 = port.parse().map_err(|_| BindAddressError)?;
        Ok(if host.is_empty() {
            Self::Everywhere(port)
        } else {
            Self::Host(text.to_owned())
        })
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("0"),
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::Host(address) => f.write_str(address),
        }
    }
}

impl BindAddress {
    /// Listens; `None` when disabled. Every interface means IPv6 and IPv4 where the machine has
    /// IPv6, else IPv4.
    ///
    /// # Errors
    /// The address is taken, or not one of this machine: the sentence names it.
    pub async fn bind(&self) -> io::Result<Option<TcpListener>> {
        let bound = match self {
            Self::Disabled => return Ok(None),
            Self::Everywhere(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).await
            {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).await
                }
                bound => bound,
            },
            Self::Host(address) => TcpListener::bind(address.as_str()).await,
        };
        bound.map(Some).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {self}: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parse = |text: &str| text.parse::<BindAddress>();
        assert_eq!(parse("0"), Ok(BindAddress::Disabled));
        assert_eq!(parse(""), Ok(BindAddress::Disabled));
        assert_eq!(parse(":0"), Ok(BindAddress::Everywhere(0)));
        assert_eq!(
            parse("[::1]:80"),
            Ok(BindAddress::Host("[::1]:80".to_owned()))
        );
        for wrong in ["8443", ":65536", "host", "host:http"] {
            assert_eq!(parse(wrong), Err(BindAddressError), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_taken_address_is_named() {
        let first = BindAddress::Everywhere(0).bind().await.unwrap().unwrap();
        let port = first.local_addr().unwrap().port();
        let error = BindAddress::Everywhere(port)
            .bind()
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("cannot listen on :{port}")),
            "{error}"
        );
        assert!(BindAddress::Disabled.bind().await.unwrap().is_none());
    }
}

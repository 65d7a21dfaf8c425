//! Values that a user writes, in types that hold nothing else.

use std::fmt;
use std::net::Ipv6Addr;

/// A value that does not have the form that its field needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It is empty.
    #[error("must not be empty")]
    Empty,
    /// It has a character that the field cannot hold.
    #[error("{value:?} has the character {character:?}: {allowed}")]
    Character {
        /// The value.
        value: String,
        /// The first wrong character.
        character: char,
        /// What is allowed.
        allowed: &'static str,
    },
    /// It is too long.
    #[error("has {length} characters and may have {max}")]
    Long {
        /// Its length.
        length: usize,
        /// Most characters.
        max: usize,
    },
    /// It is not a port.
    #[error("{value} is not a port: use 1 to 65535")]
    Port {
        /// The number.
        value: i32,
    },
}

macro_rules! text {
    ($(#[$meta:meta])* $name:ident, $max:expr, $allowed:expr, $test:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The text, when every character is allowed.
            pub fn parse(value: &str) -> Result<Self, ValueError> {
                let test: fn(char) -> bool = $test;
                check(value, $max, $allowed, test).map(|()| Self(value.to_owned()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// Name of a container image, by tag or digest.
    Image,
    1024,
    "an image name has no spaces, line breaks or characters beyond ASCII",
    |c| c.is_ascii_graphic()
);
text!(
    /// User of a MySQL server, as the server's parser of addresses reads it.
    MySqlUser,
    256,
    "the address of a MySQL server cannot hold ':', '?' or control characters in the user",
    |c| !c.is_control() && !matches!(c, ':' | '?')
);
text!(
    /// Database of a MySQL server, as the server's parser of addresses reads it.
    MySqlDatabase,
    256,
    "the address of a MySQL server cannot hold '/', '?', '%' or control characters in the database",
    |c| !c.is_control() && !matches!(c, '/' | '?' | '%')
);
text!(
    /// User or database of a Postgres server. It is escaped where it is used.
    PostgresName,
    256,
    "names in a database have no control characters",
    |c| !c.is_control()
);
text!(
    /// List of ciphers, separated by colons.
    Ciphers,
    4096,
    "names of ciphers are made of letters, digits, '_' and '-', separated by ':'",
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':')
);
text!(
    /// Domain of external host names.
    Domain,
    253,
    "a domain is made of letters, digits, '-' and '.'",
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
);

text!(
    /// Name of an authorization provider in the mesh configuration.
    AuthProvider,
    253,
    "the name of a provider has no spaces, line breaks or characters beyond ASCII",
    |c| c.is_ascii_graphic()
);
text!(
    /// Whom a token is for: a URL or a name.
    Audience,
    1024,
    "an audience has no spaces, line breaks or characters beyond ASCII",
    |c| c.is_ascii_graphic()
);

text!(
    /// Name of an environment variable.
    EnvName,
    1024,
    "names of environment variables are printable ASCII without '='",
    |c| (c.is_ascii_graphic() || c == ' ') && c != '='
);

fn check(
    value: &str,
    max: usize,
    allowed: &'static str,
    test: fn(char) -> bool,
) -> Result<(), ValueError> {
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    if let Some(character) = value.chars().find(|c| !test(*c)) {
        return Err(ValueError::Character {
            value: value.to_owned(),
            character,
            allowed,
        });
    }
    let length = value.chars().count();
    if length > max {
        return Err(ValueError::Long { length, max });
    }
    Ok(())
}

/// Host name or address of a database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// A host name, an IPv4 address, or an IPv6 address with or without brackets.
    pub fn parse(value: &str) -> Result<Self, ValueError> {
        let bare = value
            .strip_prefix('[')
            .and_then(|v| v.strip_suffix(']'))
            .unwrap_or(value);
        if bare.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self(format!("[{bare}]")));
        }
        check(
            value,
            253,
            "a host is made of letters, digits, '-', '_' and '.'",
            |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'),
        )?;
        Ok(Self(value.to_owned()))
    }

    /// The host as an address holds it, an IPv6 address in brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(u16);

impl Port {
    /// The port, when there is one of this number.
    pub fn parse(value: i32) -> Result<Self, ValueError> {
        match u16::try_from(value) {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => Err(ValueError::Port { value }),
        }
    }

    /// The number as Kubernetes objects hold it.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0.into()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        assert_eq!(
            Host::parse("db-1.example.test").unwrap().as_str(),
            "db-1.example.test"
        );
        assert_eq!(Host::parse("fd00::1").unwrap().as_str(), "[fd00::1]");
        assert_eq!(Host::parse("[fd00::1]").unwrap().as_str(), "[fd00::1]");
        assert!(Host::parse("db:5432").is_err());
        assert!(Host::parse("a b").is_err());
        assert!(Host::parse("db/x?sslmode=disable").is_err());
    }

    #[test]
    fn an_image_with_a_line_break_is_refused_by_name_of_the_character() {
        assert_eq!(
            Image::parse("quay.io/a:1\n  stdin: true")
                .unwrap_err()
                .to_string(),
            "\"quay.io/a:1\\n  stdin: true\" has the character '\\n': \
             an image name has no spaces, line breaks or characters beyond ASCII"
        );
    }

    #[test]
    fn ports() {
        assert!(Port::parse(0).is_err());
        assert!(Port::parse(70_000).is_err());
        assert_eq!(Port::parse(443).unwrap().number(), 443);
    }
}

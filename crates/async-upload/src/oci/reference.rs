//! Names of images, as container engines read them.
//!
//! Read by hand: the expression that other libraries compile for it took half of the time that a
//! Job needed to its first request.

use std::fmt;
use std::str::FromStr;

/// The registry of names that say none.
const HUB: &str = "docker.io";
/// What that registry was called once.
const OLD_HUB: &str = "index.docker.io";
/// Where its images are that have no owner.
const OFFICIAL: &str = "library";
/// The tag of names that say none.
const TAG: &str = "latest";
/// The longest name of a repository.
const LONGEST_NAME: usize = 255;
/// The longest tag.
const LONGEST_TAG: usize = 128;

/// The name of an image: registry, repository, and a tag or a digest or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is no name of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAReference {
    /// There is no registry of such a name.
    #[error("its registry is no host or host:port")]
    Registry,
    /// A part of the repository's name is empty or holds another character.
    #[error(
        "a repository is of lower-case letters and digits, with `.`, `_` or `-` between them and \
         `/` between its parts"
    )]
    Repository,
    /// More than 255 characters.
    #[error("the name of its repository is longer than {LONGEST_NAME} characters")]
    Long,
    /// A tag that registries refuse.
    #[error(
        "a tag is of letters, digits, `_`, `.` and `-`, begins with one of the first three, and \
         has at most {LONGEST_TAG} characters"
    )]
    Tag,
    /// Not `sha256:` and 64 digits of hex.
    #[error("a digest is `sha256:` and 64 lower-case hexadecimal digits")]
    Digest,
}

impl Reference {
    /// The registry as its users call it.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The host that answers for the registry, with its port.
    #[must_use]
    pub fn host(&self) -> &str {
        match self.registry.as_str() {
            HUB => OLD_HUB,
            registry => registry,
        }
    }

    /// The repository, without the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` if neither tag nor digest was written.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, `sha256:…`.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash is that of a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((host, repository)) if is_host(host) => {
                (if host == OLD_HUB { HUB } else { host }, repository)
            }
            _ => (HUB, name),
        };
        if !well_formed_host(registry) {
            return Err(NotAReference::Registry);
        }
        if !repository.split('/').all(well_formed_part) {
            return Err(NotAReference::Repository);
        }
        if repository.len() > LONGEST_NAME {
            return Err(NotAReference::Long);
        }
        if !tag.is_none_or(well_formed_tag) {
            return Err(NotAReference::Tag);
        }
        if !digest.is_none_or(well_formed_digest) {
            return Err(NotAReference::Digest);
        }
        let repository = if registry == HUB && !repository.contains('/') {
            format!("{OFFICIAL}/{repository}")
        } else {
            repository.to_owned()
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: match (tag, digest) {
                (None, None) => Some(TAG.to_owned()),
                (tag, _) => tag.map(str::to_owned),
            },
            digest: digest.map(str::to_owned),
        })
    }
}

/// Whether the first part of a name is a host. `org/model` is a repository of the hub.
fn is_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost"
}

fn well_formed_host(text: &str) -> bool {
    // An address of IPv6 stands in brackets.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let number = |port: &str| port.parse::<u16>().is_ok();
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    port.is_none_or(number)
        && match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.split('.').all(label),
        }
}

/// Letters and digits; between them one `.`, one or two `_`, or any number of `-`.
fn well_formed_part(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |run: &str| {
        matches!(run, "" | "." | "_" | "__") || run.bytes().all(|character| character == b'-')
    };
    part.starts_with(alphanumeric)
        && part.ends_with(alphanumeric)
        && part.split(alphanumeric).all(separator)
}

fn well_formed_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.starts_with(word)
        && tag.len() <= LONGEST_TAG
        && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn well_formed_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    #[test]
    fn names_are_read_as_engines_read_them() {
        let with_digest = format!("test:5000/repo:tag@{DIGEST}");
        let only_digest = format!("a/b@{DIGEST}");
        for (text, registry, repository, tag, digest) in [
            (
                "busybox",
                "docker.io",
                "library/busybox",
                Some("latest"),
                None,
            ),
            (
                "index.docker.io/x",
                "docker.io",
                "library/x",
                Some("latest"),
                None,
            ),
            (
                "test.com:5000",
                "docker.io",
                "library/test.com",
                Some("5000"),
                None,
            ),
            ("test.com/repo:tag", "test.com", "repo", Some("tag"), None),
            ("test:5000/repo", "test:5000", "repo", Some("latest"), None),
            ("localhost/repo", "localhost", "repo", Some("latest"), None),
            ("[::1]:5000/a/b:1", "[::1]:5000", "a/b", Some("1"), None),
            (
                "lowercase:Uppercase",
                "docker.io",
                "library/lowercase",
                Some("Uppercase"),
                None,
            ),
            (
                "quay.io/o/a__b.c---d:v1",
                "quay.io",
                "o/a__b.c---d",
                Some("v1"),
                None,
            ),
            (&with_digest, "test:5000", "repo", Some("tag"), Some(DIGEST)),
            (&only_digest, "docker.io", "a/b", None, Some(DIGEST)),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.registry(), registry, "{text}");
            assert_eq!(reference.repository(), repository, "{text}");
            assert_eq!(reference.tag(), tag, "{text}");
            assert_eq!(reference.digest(), digest, "{text}");
            // What is written out is read back as the same.
            assert_eq!(reference.to_string().parse(), Ok(reference), "{text}");
        }
        let hub: Reference = "busybox".parse().unwrap();
        assert_eq!(
            (hub.registry(), hub.host()),
            ("docker.io", "index.docker.io")
        );
    }

    #[test]
    fn what_is_no_name_is_told_why() {
        use NotAReference::{Digest, Long, Registry, Repository, Tag};
        let long = "a".repeat(256);
        let long_tag = format!("a:{}", "t".repeat(129));
        for (text, why) in [
            ("", Repository),
            (":tag", Repository),
            ("Uppercase:tag", Repository),
            ("test:5000/Upper/lower", Repository),
            ("aa/asdf$$^/aa", Repository),
            ("a//b", Repository),
            ("a/b/", Repository),
            ("a/b_", Repository),
            ("a/b___c", Repository),
            ("a/b..c", Repository),
            ("-x.io/a", Registry),
            ("x.io:99999/a", Registry),
            ("x..io/a", Registry),
            ("[::g]:1/a", Registry),
            ("a/b:", Tag),
            ("a/b:-x", Tag),
            ("a/b:x y", Tag),
            (&long_tag, Tag),
            (&long, Long),
            ("a@sha256:ff", Digest),
            ("a@sha512:ff", Digest),
            (&format!("a@{}", DIGEST.to_uppercase()), Digest),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(why), "{text:?}");
        }
    }
}

//! Names with their limits in the type: one that is too long or has a wrong character cannot be
//! written down, so no API server has to refuse it.

use std::{fmt, marker::PhantomData};

/// What a name has to look like.
pub trait Rule {
    /// Most characters that it may have.
    const MAX: usize;
    /// What it is, with its form, as the end of "is not a valid …".
    const FORM: &'static str;
    /// Whether the characters and their order are allowed. The length is checked apart.
    fn allows(text: &str) -> bool;
}

/// A text that keeps rule `R`.
pub struct Name<R> {
    text: String,
    rule: PhantomData<fn() -> R>,
}

/// Rule of [`ObjectName`].
#[derive(Debug)]
pub enum Dns1123Subdomain {}
/// Rule of [`ServiceName`].
#[derive(Debug)]
pub enum Dns1035Label {}
/// Rule of [`HostLabel`].
#[derive(Debug)]
pub enum Dns1123Label {}
/// Rule of [`LabelValue`].
#[derive(Debug)]
pub enum LabelText {}
/// Rule of [`DataKey`].
#[derive(Debug)]
pub enum KeyText {}

/// Name of most objects: dots, dashes, lower-case letters and digits, up to 253.
pub type ObjectName = Name<Dns1123Subdomain>;
/// Name of a Service: starts with a letter, no dots, up to 63.
pub type ServiceName = Name<Dns1035Label>;
/// One label of a host name, also the name of a namespace: up to 63.
pub type HostLabel = Name<Dns1123Label>;
/// Value of a label: up to 63.
pub type LabelValue = Name<LabelText>;
/// Key in a Secret or ConfigMap, which is also the name of a file: up to 253.
pub type DataKey = Name<KeyText>;

fn is_lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Non-empty, made of `inner`, with `outer` at both ends.
fn framed(text: &str, outer: impl Fn(char) -> bool, inner: impl Fn(char) -> bool) -> bool {
    text.starts_with(&outer) && text.ends_with(&outer) && text.chars().all(inner)
}

impl Rule for Dns1123Subdomain {
    const MAX: usize = 253;
    const FORM: &'static str = "object name: lower-case letters, digits, '-' and '.', starting and ending with a letter or digit";
    fn allows(text: &str) -> bool {
        text.split('.')
            .all(|label| framed(label, is_lower, |c| is_lower(c) || c == '-'))
    }
}

impl Rule for Dns1035Label {
    const MAX: usize = 63;
    const FORM: &'static str = "Service name: lower-case letters, digits and '-', starting with a letter and ending with a letter or digit";
    fn allows(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_lowercase()) && Dns1123Label::allows(text)
    }
}

impl Rule for Dns1123Label {
    const MAX: usize = 63;
    const FORM: &'static str = "host label: lower-case letters, digits and '-', starting and ending with a letter or digit";
    fn allows(text: &str) -> bool {
        framed(text, is_lower, |c| is_lower(c) || c == '-')
    }
}

impl Rule for LabelText {
    const MAX: usize = 63;
    const FORM: &'static str = "label value: letters, digits, '-', '_' and '.', starting and ending with a letter or digit";
    fn allows(text: &str) -> bool {
        framed(
            text,
            |c| c.is_ascii_alphanumeric(),
            |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'),
        )
    }
}

impl Rule for KeyText {
    const MAX: usize = 253;
    const FORM: &'static str = "key of a Secret or ConfigMap: letters, digits, '-', '_' and '.'";
    fn allows(text: &str) -> bool {
        !text.is_empty()
            && !matches!(text, "." | "..")
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    }
}

/// A text that cannot be the name that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is too long, itself or with what is added to it.
    #[error(
        "{base:?} has {} characters and may have {limit}: {what} {pattern:?} is limited to {max}",
        base.chars().count()
    )]
    Long {
        /// What is too long.
        base: String,
        /// Most characters that it may have.
        limit: usize,
        /// What is derived from it, in words: `label of the ClusterRoleBinding`.
        what: &'static str,
        /// The derived name with `NAME` in place of the text.
        pattern: String,
        /// Most characters that the derived name may have.
        max: usize,
    },
    /// It has a character that is not allowed, or not in this place.
    #[error("{text:?} is not a valid {form}")]
    Form {
        /// The text.
        text: String,
        /// What it should have been.
        form: &'static str,
    },
}

impl<R: Rule> Name<R> {
    /// The text, when it keeps the rule.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::derive("name", "", text, "")
    }

    /// `prefix` + `base` + `suffix`, when that keeps the rule. `what` says what the name is for.
    pub fn derive(
        what: &'static str,
        prefix: &'static str,
        base: &str,
        suffix: &'static str,
    ) -> Result<Self, NameError> {
        let text = format!("{prefix}{base}{suffix}");
        if !R::allows(&text) {
            return Err(NameError::Form {
                text,
                form: R::FORM,
            });
        }
        // Every allowed character is one byte long.
        if text.len() > R::MAX {
            return Err(NameError::Long {
                base: base.to_owned(),
                limit: R::MAX.saturating_sub(prefix.len() + suffix.len()),
                what,
                pattern: format!("{prefix}NAME{suffix}"),
                max: R::MAX,
            });
        }
        Ok(Self {
            text,
            rule: PhantomData,
        })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<R> fmt::Display for Name<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<R> fmt::Debug for Name<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<R> Clone for Name<R> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            rule: PhantomData,
        }
    }
}

impl<R> PartialEq for Name<R> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<R> Eq for Name<R> {}

impl<R> PartialOrd for Name<R> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> Ord for Name<R> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl<R> From<&Name<R>> for String {
    fn from(name: &Name<R>) -> Self {
        name.text.clone()
    }
}

/// Names by which clients in the cluster know a Service: its certificate has them all.
#[must_use]
pub fn service_hosts(name: &str, namespace: &str) -> [String; 4] {
    [
        name.to_owned(),
        format!("{name}.{namespace}"),
        service_host(name, namespace),
        format!("{name}.{namespace}.svc.cluster.local"),
    ]
}

/// The one of [`service_hosts`] that gateways verify.
#[must_use]
pub fn service_host(name: &str, namespace: &str) -> String {
    format!("{name}.{namespace}.svc")
}

/// Checks the key of a label or annotation: `name` or `domain/name`.
pub fn label_key(key: &str) -> Result<(), NameError> {
    let (domain, name) = key
        .split_once('/')
        .map_or((None, key), |(domain, name)| (Some(domain), name));
    if let Some(domain) = domain {
        ObjectName::parse(domain)?;
    }
    LabelValue::parse(name).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_name_starts_with_a_letter() {
        assert!(ServiceName::parse("true").is_ok());
        assert!(ServiceName::parse("y").is_ok());
        let error = ServiceName::parse("2024").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"2024\" is not a valid Service name: lower-case letters, digits and '-', \
             starting with a letter and ending with a letter or digit"
        );
        assert!(ServiceName::parse("a.b").is_err());
        assert!(ServiceName::parse("").is_err());
    }

    #[test]
    fn a_derived_name_says_how_long_the_base_may_be() {
        let base = "n".repeat(49);
        let error = LabelValue::derive(
            "label of the ClusterRoleBinding",
            "",
            &base,
            "-auth-delegator",
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "\"{base}\" has 49 characters and may have 48: \
                 label of the ClusterRoleBinding \"NAME-auth-delegator\" is limited to 63"
            )
        );
        assert!(LabelValue::derive("label", "", &"n".repeat(48), "-auth-delegator").is_ok());
    }

    #[test]
    fn forms() {
        assert!(ObjectName::parse("a.b-c.1").is_ok());
        assert!(ObjectName::parse("a..b").is_err());
        assert!(ObjectName::parse("-a").is_err());
        assert!(LabelValue::parse("A_b.c").is_ok());
        assert!(LabelValue::parse("a\nb").is_err());
        assert!(DataKey::parse("tls.crt").is_ok());
        assert!(DataKey::parse("../x").is_err());
        assert!(DataKey::parse("..").is_err());
        assert!(HostLabel::parse("1a").is_ok());
    }
}

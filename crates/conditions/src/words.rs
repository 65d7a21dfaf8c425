//! The words that conditions are made of.

use std::fmt;

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody can tell.
    Unknown,
}

impl Status {
    /// The word in the status of a resource.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A word that is checked when it is compiled.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $limit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(&'static str);

        impl $name {
            /// Called in a constant only, by the macro of this type: a wrong word does not
            /// compile.
            #[doc(hidden)]
            #[must_use]
            pub const fn checked(word: &'static str) -> Self {
                assert!(is_camel_case(word, $limit), "a CamelCase word of letters and digits is needed");
                Self(word)
            }

            /// The word, if it is one: for words that a trait hands out as text.
            #[must_use]
            pub const fn parse(word: &'static str) -> Option<Self> {
                if is_camel_case(word, $limit) { Some(Self(word)) } else { None }
            }

            /// The word itself.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.0)
            }
        }
    };
}

word!(
    /// Why a condition has its status, as one word for programs. Made with
    /// [`reason!`](crate::reason).
    Reason,
    1024
);

word!(
    /// The name of a condition. Made with [`condition_type!`](crate::condition_type).
    ConditionType,
    316
);

/// A [`Reason`] from a literal: CamelCase, at most 1024 characters. Anything else does not
/// compile.
///
/// ```compile_fail
/// let reason = conditions::reason!("not camel case");
/// ```
#[macro_export]
macro_rules! reason {
    ($word:literal) => {
        const { $crate::Reason::checked($word) }
    };
}

/// A [`ConditionType`] from a literal: CamelCase, at most 316 characters. Anything else does
/// not compile.
///
/// ```compile_fail
/// let condition_type = conditions::condition_type!("");
/// ```
#[macro_export]
macro_rules! condition_type {
    ($word:literal) => {
        const { $crate::ConditionType::checked($word) }
    };
}

/// A capital, then letters and digits. Narrower than what the API admits, as every word of
/// ours is written that way.
const fn is_camel_case(word: &str, limit: usize) -> bool {
    let mut rest = match word.as_bytes() {
        [first, rest @ ..] if first.is_ascii_uppercase() => rest,
        _ => return false,
    };
    while let [next, others @ ..] = rest {
        if !next.is_ascii_alphanumeric() {
            return false;
        }
        rest = others;
    }
    word.len() <= limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_camel_case_words_are_words() {
        for word in ["A", "Ready", "KubeRBACProxyAvailable", "Http2Ready"] {
            assert!(is_camel_case(word, 1024), "{word}");
        }
        for word in [
            "",
            "ready",
            "Not Ready",
            "Not-Ready",
            "2Fast",
            "Übel",
            "Grün",
            "A.B",
            "A\n",
        ] {
            assert!(!is_camel_case(word, 1024), "{word:?}");
        }
        assert!(is_camel_case("Ready", 5));
        assert!(!is_camel_case("Ready", 4));
    }
}

//! A `spec` that may be absent.

/// Lets a spec that is absent or null read as its default.
///
/// The schema has never required `spec`, so such resources exist, and one that cannot be
/// read would keep the whole list from being read. The derived root type calls for `spec`
/// without a way to say that it is optional; serde gives an absent field to a type that
/// asks for an option, so the type itself asks. The derive on the spec goes through
/// `#[serde(remote = "Self")]`.
macro_rules! absent_is_default {
    ($spec:ident) => {
        impl<'de> ::serde::Deserialize<'de> for $spec {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                struct Present($spec);
                impl<'de> ::serde::Deserialize<'de> for Present {
                    fn deserialize<D: ::serde::Deserializer<'de>>(
                        deserializer: D,
                    ) -> Result<Self, D::Error> {
                        // The inherent function that the derive made, not this trait's.
                        $spec::deserialize(deserializer).map(Self)
                    }
                }
                let spec = <Option<Present> as ::serde::Deserialize>::deserialize(deserializer)?;
                Ok(spec.map(|Present(spec)| spec).unwrap_or_default())
            }
        }

        impl ::serde::Serialize for $spec {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // The inherent function that the derive made, not this trait's.
                $spec::serialize(self, serializer)
            }
        }
    };
}

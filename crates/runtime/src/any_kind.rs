//! Types that keep of an object what somebody looks at: what is left out of the type is passed over
//! while the object is read, and needs no memory.

/// Makes a struct with a field `metadata` one that `Api` reads objects of any kind into; `true` for
/// one that asks for their metadata only.
macro_rules! any_kind {
    ($object:ident, $metadata_api:literal) => {
        impl kube::Resource for $object {
            type DynamicType = kube::core::ApiResource;
            type Scope = kube::core::DynamicResourceScope;

            fn kind(resource: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.kind.as_str().into()
            }
            fn group(resource: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.group.as_str().into()
            }
            fn version(resource: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.version.as_str().into()
            }
            fn api_version(resource: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.api_version.as_str().into()
            }
            fn plural(resource: &kube::core::ApiResource) -> std::borrow::Cow<'_, str> {
                resource.plural.as_str().into()
            }
            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
            fn metadata_api() -> bool {
                $metadata_api
            }
        }
    };
}

pub(crate) use any_kind;

//! A stand-in for OpenShift: the APIs that operators look for, as CRDs of our own, and small
//! controllers that do the two things operators wait for. It is no OpenShift.
pub(crate) async fn run(_c: kube::Client, _a: &crate::pki::Authority) {
    std::future::pending::<()>().await
}
pub(crate) async fn install(_c: &kube::Client) -> Result<(), crate::Error> {
    Ok(())
}
/// x
#[derive(Debug, Clone, Copy)]
pub enum StandIn {
    /// g
    Gateway,
}
impl StandIn {
    pub(crate) fn crd(self) -> &'static str {
        ""
    }
    pub(crate) fn name(self) -> &'static str {
        ""
    }
}

//! Who a token speaks for, as Fulcio writes it into certificates.

use sigstore_oidc::IdentityToken;

/// The identity and its issuer.
pub(super) fn of(token: &IdentityToken) -> (String, String) {
    let identity = match token.subject().strip_prefix("system:serviceaccount:") {
        Some(account) => match account.split_once(':') {
            Some((namespace, name)) => {
                format!("https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{name}")
            }
            None => token.identity().to_owned(),
        },
        None => token.identity().to_owned(),
    };
    (identity, token.issuer().to_owned())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn identity(claims: &str) -> String {
        let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        of(&IdentityToken::from_jwt(&jwt).unwrap()).0
    }

    #[test]
    fn service_accounts_are_addresses_and_people_are_mail_addresses() {
        let account = r#"{"iss":"i","sub":"system:serviceaccount:ns:sa","exp":9999999999}"#;
        assert_eq!(
            identity(account),
            "https://kubernetes.io/namespaces/ns/serviceaccounts/sa"
        );
        let person = r#"{"iss":"i","sub":"7","exp":9999999999,"email":"a@b"}"#;
        assert_eq!(identity(person), "a@b");
        // Base64 of this has `-` and `_`.
        let other = r#"{"iss":"i","sub":"ÿ?>~ÿ","exp":9999999999}"#;
        assert_eq!(identity(other), "ÿ?>~ÿ");
    }
}

//! The word of a GitHub App: a JWT, signed with its private key (RS256), good for ten minutes at most.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatch_shared::Timestamp;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::secret::Secret;

/// A clock ahead of GitHub's would make the token one of the future.
const BACK: i64 = 60;
/// GitHub takes ten minutes between both ends.
const AHEAD: i64 = 540;

/// The token of App `id` at `now`; `pem` is its private key as GitHub gives it out (PKCS#1), or PKCS#8.
///
/// # Errors
/// A sentence without the key: it is none.
pub(super) fn signed(id: &str, pem: &Secret, now: Timestamp) -> Result<Secret, String> {
    let none = |why: &str| {
        format!(
            "it is no private key of a GitHub App ({why}): make one in the App's settings and keep the .pem file as it is"
        )
    };
    let key = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| none("no PEM"))?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| none("not understood"))?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or_else(|| none("no RSA key"))?;
    let seconds = now.0.div_euclid(1_000);
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let (head, claims) = (
        part(json!({ "alg": "RS256", "typ": "JWT" })),
        part(json!({ "iat": seconds - BACK, "exp": seconds + AHEAD, "iss": id })),
    );
    let message = format!("{head}.{claims}");
    let signature = signer.sign(message.as_bytes()).map_err(|_| none("it does not sign"))?;
    Ok(Secret::new(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_said_without_it() {
        let now = Timestamp(1_790_000_000_000);
        for wrong in ["hunter2", "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----"] {
            let said = signed("7", &Secret::new(wrong), now).unwrap_err();
            assert!(said.contains("no private key") && !said.contains("hunter2"), "{said}");
        }
    }
}

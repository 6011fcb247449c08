//! Tokens for EKS: a request to AWS that says who sends it, signed and not sent. EKS sends it, and so learns who asks.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sluice_domain::Timestamp;
use tokio::sync::Mutex;

use crate::credentials::{AwsKeys, Eks};
use crate::error::ClusterError;

/// What a token begins with.
const PREFIX: &str = "k8s-aws-v1.";
/// The header that says which cluster a token is for, so that no other can use it.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";
/// What a token claims to be good for, in seconds; EKS takes it for fifteen minutes.
const EXPIRES_SECONDS: u64 = 60;
/// How long a token is used: well under those fifteen minutes.
const USED_MS: u64 = 10 * 60 * 1000;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The tokens of one cluster.
pub(crate) struct Tokens {
    eks: Eks,
    held: Mutex<Option<(SecretString, Timestamp)>>,
}

impl Tokens {
    pub(crate) fn new(eks: Eks) -> Self {
        Self { eks, held: Mutex::new(None) }
    }

    /// A token that is good now.
    pub(crate) async fn token(&self, now: Timestamp) -> Result<SecretString, ClusterError> {
        let mut held = self.held.lock().await;
        if let Some((token, made)) = &*held
            && now.since_ms(*made) < USED_MS
            && *made <= now
        {
            return Ok(token.clone());
        }
        let keys = self.eks.keys.keys().await.map_err(ClusterError::AwsKeys)?;
        let token = token(&self.eks, &keys, now).map_err(ClusterError::Sign)?;
        *held = Some((token.clone(), now));
        Ok(token)
    }

    /// A token was refused: whoever asks next gets a new one.
    pub(crate) async fn forget(&self) {
        *self.held.lock().await = None;
    }
}

fn token(eks: &Eks, keys: &AwsKeys, now: Timestamp) -> Result<SecretString, Cause> {
    let url = presigned(eks, keys, now)?;
    Ok(SecretString::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url))))
}

/// The request, as a URL.
fn presigned(eks: &Eks, keys: &AwsKeys, now: Timestamp) -> Result<String, Cause> {
    let domain = if eks.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let host = format!("sts.{}.{domain}", eks.region);
    let url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");
    let session = keys.session_token.as_ref().map(|token| token.expose_secret().to_owned());
    let secret = keys.secret_access_key.expose_secret().to_owned();
    let identity: Identity = Credentials::new(&keys.access_key_id, secret, session, None, "sluice").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(EXPIRES_SECONDS));
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&eks.region)
        .name("sts")
        .time(UNIX_EPOCH + Duration::from_millis(now.0))
        .settings(settings)
        .build()?
        .into();
    let headers = [(CLUSTER_HEADER, eks.cluster.as_str())];
    let request = SignableRequest::new("GET", &url, headers.into_iter(), SignableBody::Bytes(b""))?;
    let (instructions, _) = sign(request, &params)?.into_parts();
    let mut signed = http::Request::get(&url).body(())?;
    instructions.apply_to_request_http1x(&mut signed);
    Ok(signed.uri().to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::credentials::{AwsCredentials, KeysFuture};

    /// Keys that count how often they are asked for.
    #[derive(Default)]
    struct Counted(AtomicU64);

    impl AwsCredentials for Counted {
        fn keys(&self) -> KeysFuture<'_> {
            let nth = self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                Ok(AwsKeys {
                    access_key_id: format!("AKID{nth}"),
                    secret_access_key: SecretString::from("hush/hush"),
                    session_token: Some(SecretString::from("sess+ion/==")),
                })
            })
        }
    }

    fn eks(keys: Arc<dyn AwsCredentials>, region: &str) -> Eks {
        let (url, authority) = ("https://eks.example.com".to_owned(), String::new());
        Eks { cluster: "prod-1".to_owned(), url, authority, region: region.to_owned(), keys }
    }

    fn decoded(token: &SecretString) -> url::Url {
        let text = token.expose_secret().strip_prefix("k8s-aws-v1.").unwrap();
        assert!(!text.contains(['=', '+', '/']), "{text}");
        url::Url::parse(&String::from_utf8(URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_token_is_a_request_to_sts_that_is_signed_for_one_cluster() {
        let tokens = Tokens::new(eks(Arc::new(Counted::default()), "eu-central-1"));
        let url = decoded(&tokens.token(Timestamp(1_795_219_200_000)).await.unwrap());
        assert_eq!((url.scheme(), url.host_str()), ("https", Some("sts.eu-central-1.amazonaws.com")));
        let mut query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let signature = query.remove("X-Amz-Signature").unwrap();
        assert!(signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()), "{signature}");
        let expected = [
            ("Action", "GetCallerIdentity"),
            ("Version", "2011-06-15"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "AKID0/20261121/eu-central-1/sts/aws4_request"),
            ("X-Amz-Date", "20261121T000000Z"),
            ("X-Amz-Expires", "60"),
            ("X-Amz-Security-Token", "sess+ion/=="),
            ("X-Amz-SignedHeaders", "host;x-k8s-aws-id"),
        ];
        assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let china = Tokens::new(eks(Arc::new(Counted::default()), "cn-north-1"));
        let url = decoded(&china.token(Timestamp(0)).await.unwrap());
        assert_eq!(url.host_str(), Some("sts.cn-north-1.amazonaws.com.cn"));
    }

    #[tokio::test]
    async fn another_cluster_has_another_signature() {
        let one = eks(Arc::new(Counted::default()), "eu-central-1");
        let mut other = eks(Arc::new(Counted::default()), "eu-central-1");
        other.cluster = "prod-2".to_owned();
        let (one, other) = (Tokens::new(one), Tokens::new(other));
        let (one, other) = (one.token(Timestamp(0)).await.unwrap(), other.token(Timestamp(0)).await.unwrap());
        let signature = |token: &SecretString| {
            decoded(token).query_pairs().find(|(name, _)| name == "X-Amz-Signature").unwrap().1.into_owned()
        };
        assert_ne!(signature(&one), signature(&other));
    }

    #[tokio::test]
    async fn a_token_is_used_until_it_is_old_or_refused() {
        let tokens = Tokens::new(eks(Arc::new(Counted::default()), "eu-central-1"));
        let who = async |at: u64| {
            let url = decoded(&tokens.token(Timestamp(at)).await.unwrap());
            url.query_pairs().find(|(name, _)| name == "X-Amz-Credential").unwrap().1[..5].to_owned()
        };
        let minute = 60_000;
        assert_eq!(who(minute).await, "AKID0");
        assert_eq!(who(10 * minute).await, "AKID0");
        assert_eq!(who(11 * minute).await, "AKID1");
        // A clock that went back must not keep a token for longer.
        assert_eq!(who(5 * minute).await, "AKID2");
        tokens.forget().await;
        assert_eq!(who(5 * minute).await, "AKID3");
    }
}

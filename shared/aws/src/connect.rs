//! A DynamoDB client from the environment alone: no profile files, no metadata service, no call in init.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_sdk_dynamodb::{Client, Config};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The environment does not say how to reach DynamoDB.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A variable is missing that Lambda sets, and a person elsewhere must.
    #[error("{0} is not set: the AWS region and credentials come from the environment")]
    Missing(&'static str),
    /// The file of certificates cannot be used.
    #[error("AWS_CA_BUNDLE names {path}, which cannot be used")]
    CaBundle {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A client with the settings of `vars`: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
/// `AWS_SESSION_TOKEN`, `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`.
pub fn client(vars: &BTreeMap<String, String>) -> Result<Client, ConnectError> {
    let Account { region, credentials } = account(vars)?;
    let http = http_client(vars)?;
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(credentials)
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(timeouts())
        .http_client(http);
    config.set_endpoint_url(endpoint(vars, "AWS_ENDPOINT_URL_DYNAMODB"));
    Ok(Client::from_conf(config.build()))
}

/// Who calls, and where: what Lambda sets for every function.
pub(crate) struct Account {
    pub(crate) region: String,
    pub(crate) credentials: Credentials,
}

pub(crate) fn account(vars: &BTreeMap<String, String>) -> Result<Account, ConnectError> {
    let required = |name: &'static str| get(vars, name).ok_or(ConnectError::Missing(name));
    let region = get(vars, "AWS_REGION").map_or_else(|| get(vars, "AWS_DEFAULT_REGION"), Some);
    Ok(Account {
        region: region.ok_or(ConnectError::Missing("AWS_REGION"))?,
        credentials: Credentials::new(
            required("AWS_ACCESS_KEY_ID")?,
            required("AWS_SECRET_ACCESS_KEY")?,
            get(vars, "AWS_SESSION_TOKEN"),
            None,
            "environment",
        ),
    })
}

/// The endpoint of a service, where it is not AWS's own.
pub(crate) fn endpoint(vars: &BTreeMap<String, String>, of_service: &str) -> Option<String> {
    get(vars, of_service).or_else(|| get(vars, "AWS_ENDPOINT_URL"))
}

fn get(vars: &BTreeMap<String, String>, name: &str) -> Option<String> {
    vars.get(name).filter(|value| !value.is_empty()).cloned()
}

/// The HTTP client for the SDK that `vars` ask for: without TLS for an endpoint that has none.
pub fn http_client(vars: &BTreeMap<String, String>) -> Result<SharedHttpClient, ConnectError> {
    if endpoint(vars, "AWS_ENDPOINT_URL_DYNAMODB").is_some_and(|endpoint| endpoint.starts_with("http://")) {
        return Ok(Builder::new().build_http());
    }
    Ok(Builder::new().tls_provider(TLS).tls_context(tls(vars)?).build_https())
}

/// The TLS of every connection to AWS. Ring: the SDK's own choice gathers entropy for 21 ms before its first handshake.
pub(crate) const TLS: Provider = Provider::Rustls(CryptoMode::Ring);

/// DynamoDB answers in milliseconds or not at all: a call that hangs must not use up the invocation.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(12))
        .build()
}

/// Whom to trust: `AWS_CA_BUNDLE`, or else the roots of AWS.
pub(crate) fn tls(vars: &BTreeMap<String, String>) -> Result<TlsContext, ConnectError> {
    let ca_bundle = get(vars, "AWS_CA_BUNDLE");
    let pem = match &ca_bundle {
        None => amazon_roots(),
        Some(path) => std::fs::read(path)
            .map_err(|source| ConnectError::CaBundle { path: path.clone(), source: Box::new(source) })?,
    };
    let trust = TrustStore::empty().with_pem_certificate(pem);
    TlsContext::builder().with_trust_store(trust).build().map_err(|source| ConnectError::CaBundle {
        path: ca_bundle.unwrap_or_else(|| "the built-in roots".to_owned()),
        source: Box::new(source),
    })
}

/// The compiled-in roots that AWS's own endpoints chain to, as PEM. Every service endpoint is signed by Amazon Trust
/// Services, whose older chains end at Starfield (<https://www.amazontrust.com/repository/>). Reading all of Mozilla's
/// roots, or the system's, would cost more than the rest of the client.
fn amazon_roots() -> Vec<u8> {
    let mut pem = String::new();
    for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter(|der| is_amazon(der.as_ref())) {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        pem.push_str(&STANDARD.encode(der.as_ref()));
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    pem.into_bytes()
}

fn is_amazon(der: &[u8]) -> bool {
    [&b"Amazon Root CA"[..], b"Starfield"].iter().any(|name| der.windows(name.len()).any(|window| window == *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_of_aws_are_compiled_in() {
        let pem = String::from_utf8(amazon_roots()).unwrap();
        // Amazon Root CA 1 to 4, and Starfield's.
        assert!(pem.matches("BEGIN CERTIFICATE").count() >= 5, "{}", pem.matches("BEGIN CERTIFICATE").count());
        tls(&BTreeMap::new()).unwrap();
    }

    #[test]
    fn a_missing_setting_is_named() {
        let vars = BTreeMap::from([("AWS_REGION".to_owned(), "eu-central-1".to_owned())]);
        assert_eq!(
            client(&vars).unwrap_err().to_string(),
            "AWS_ACCESS_KEY_ID is not set: the AWS region and credentials come from the environment"
        );
    }
}

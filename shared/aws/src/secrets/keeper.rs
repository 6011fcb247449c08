//! The services that keep secrets, and how they are asked.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::{SystemTimeSource, TimeSource};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use secrecy::SecretString;
use serde::Deserialize;
use sluice_domain::SecretRef;
use tokio::time::{sleep, timeout};

use super::SecretError;
use crate::connect::{Account, ConnectError, TLS, account, endpoint, tls};

/// Attempts, and how long each may take: together less than the ten seconds that Lambda gives init.
const ATTEMPTS_MAX: u32 = 3;
const ATTEMPT: Duration = Duration::from_millis(2_800);
const PAUSE: Duration = Duration::from_millis(150);

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Where one secret is kept, and what to say to get it.
pub(super) struct Keeper {
    /// The reference, as errors name it.
    place: String,
    /// The service as signatures and host names have it.
    service: &'static str,
    target: &'static str,
    permission: &'static str,
    /// The region that the reference names, if it does.
    region: Option<String>,
    endpoint: Option<String>,
    body: String,
}

impl Keeper {
    /// None if the secret is at hand.
    pub(super) fn of(vars: &BTreeMap<String, String>, secret: &SecretRef) -> Option<Self> {
        let place = secret.to_string();
        match secret {
            SecretRef::Plain(_) => None,
            SecretRef::Ssm(name) => Some(Self {
                place,
                service: "ssm",
                target: "AmazonSSM.GetParameter",
                permission: "ssm:GetParameter",
                region: region_of(name),
                endpoint: endpoint(vars, "AWS_ENDPOINT_URL_SSM"),
                body: serde_json::json!({"Name": name, "WithDecryption": true}).to_string(),
            }),
            SecretRef::SecretsManager(name) => Some(Self {
                place,
                service: "secretsmanager",
                target: "secretsmanager.GetSecretValue",
                permission: "secretsmanager:GetSecretValue",
                region: region_of(name),
                endpoint: endpoint(vars, "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
                body: serde_json::json!({"SecretId": name}).to_string(),
            }),
        }
    }

    fn url(&self, region: &str) -> String {
        self.endpoint.clone().unwrap_or_else(|| {
            let partition = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://{}.{region}.{partition}/", self.service)
        })
    }
}

/// The region in an ARN, `arn:aws:secretsmanager:eu-central-1:…`.
fn region_of(name: &str) -> Option<String> {
    let region = name.strip_prefix("arn:")?.split(':').nth(2)?;
    Some(region.to_owned()).filter(|region| !region.is_empty())
}

/// Who asks, and over what.
pub(super) struct Caller<'a> {
    vars: &'a BTreeMap<String, String>,
    account: Account,
}

/// What came back.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl<'a> Caller<'a> {
    pub(super) fn new(vars: &'a BTreeMap<String, String>) -> Result<Self, ConnectError> {
        Ok(Self { vars, account: account(vars)? })
    }

    pub(super) async fn fetch(&self, keeper: &Keeper) -> Result<SecretString, SecretError> {
        let region = keeper.region.as_deref().unwrap_or(&self.account.region);
        let (place, url) = (keeper.place.clone(), keeper.url(region));
        let connector = self.connector(&url)?;
        let mut attempt = 1;
        loop {
            let Some(request) = self.request(keeper, &url, region) else {
                return Err(SecretError::Endpoint { place, url });
            };
            let answer = match timeout(ATTEMPT, send(&connector, request)).await {
                Ok(answer) => answer,
                Err(elapsed) => Err(elapsed.into()),
            };
            match answer {
                Ok(answer) if answer.status == 200 => return answer.secret().ok_or(SecretError::NoText(place)),
                Ok(answer) if attempt == ATTEMPTS_MAX || !answer.may_pass() => {
                    return Err(answer.refusal(keeper, region));
                }
                Err(source) if attempt == ATTEMPTS_MAX => return Err(SecretError::Unreachable { place, url, source }),
                Ok(_) | Err(_) => {}
            }
            sleep(PAUSE * attempt).await;
            attempt += 1;
        }
    }

    fn connector(&self, url: &str) -> Result<Connector, ConnectError> {
        if url.starts_with("http://") {
            return Ok(Connector::builder().build_http());
        }
        Ok(Connector::builder().tls_provider(TLS).tls_context(tls(self.vars)?).build())
    }

    /// The signed request; None if the URL is none.
    fn request(&self, keeper: &Keeper, url: &str, region: &str) -> Option<HttpRequest> {
        let mut request = http::Request::post(url).body(SdkBody::from(keeper.body.as_str())).ok()?;
        // What signs takes these for granted.
        request.uri().scheme().and(request.uri().authority())?;
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", keeper.target)];
        let identity = Identity::from(self.account.credentials.clone());
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(keeper.service)
            .time(SystemTimeSource::new().now())
            .settings(SigningSettings::default())
            .build()
            .ok()?
            .into();
        let body = SignableBody::Bytes(keeper.body.as_bytes());
        let signable = SignableRequest::new("POST", url, headers.into_iter(), body).ok()?;
        let (signature, _) = sign(signable, &params).ok()?.into_parts();
        for (name, value) in headers {
            request.headers_mut().insert(name, http::HeaderValue::from_static(value));
        }
        signature.apply_to_request_http1x(&mut request);
        HttpRequest::try_from(request).ok()
    }
}

async fn send(connector: &Connector, request: HttpRequest) -> Result<Answer, Cause> {
    let response = connector.call(request).await?;
    let status = response.status().as_u16();
    let body = ByteStream::new(response.into_body()).collect().await?;
    Ok(Answer { status, body: body.to_vec() })
}

#[derive(Deserialize)]
struct Found {
    #[serde(rename = "Parameter")]
    parameter: Option<Parameter>,
    #[serde(rename = "SecretString")]
    secret: Option<String>,
}

#[derive(Deserialize)]
struct Parameter {
    #[serde(rename = "Value")]
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Trouble {
    #[serde(rename = "__type")]
    code: String,
    #[serde(alias = "Message")]
    message: String,
}

impl Answer {
    /// The secret. A line end that a file or an editor left behind is not part of it.
    fn secret(&self) -> Option<SecretString> {
        let found: Found = serde_json::from_slice(&self.body).ok()?;
        let text = found.parameter.map_or(found.secret, |parameter| Some(parameter.value))?;
        Some(SecretString::from(text.trim())).filter(|_| !text.trim().is_empty())
    }

    fn trouble(&self) -> Trouble {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn may_pass(&self) -> bool {
        self.status >= 500 || self.status == 429 || self.trouble().code.contains("Throttl")
    }

    fn refusal(&self, keeper: &Keeper, region: &str) -> SecretError {
        let Trouble { code, message } = self.trouble();
        let code = code.rsplit('#').next().unwrap_or_default();
        let place = keeper.place.clone();
        let why = format!("{code}: {message}");
        match code {
            "ParameterNotFound" | "ParameterVersionNotFound" | "ResourceNotFoundException" => {
                SecretError::Missing { place, region: region.to_owned() }
            }
            "AccessDeniedException" => SecretError::Denied { place, permission: keeper.permission, why },
            _ => SecretError::Refused { place, status: self.status, why },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_asked_for_where_its_name_says() {
        let url = |secret: &str, vars: &[(&str, &str)]| {
            let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let keeper = Keeper::of(&vars, &SecretRef::parse(secret).unwrap()).unwrap();
            keeper.url(keeper.region.as_deref().unwrap_or("cn-north-1"))
        };
        assert_eq!(url("ssm:/sluice/token", &[]), "https://ssm.cn-north-1.amazonaws.com.cn/");
        let arn = "secretsmanager:arn:aws:secretsmanager:eu-central-1:123456789012:secret:sluice";
        assert_eq!(url(arn, &[]), "https://secretsmanager.eu-central-1.amazonaws.com/");
        let all = ("AWS_ENDPOINT_URL", "http://all");
        assert_eq!(url(arn, &[all]), "http://all");
        assert_eq!(url(arn, &[all, ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://one")]), "http://one");
        assert_eq!(url("ssm:x", &[all, ("AWS_ENDPOINT_URL_SSM", "http://one")]), "http://one");
    }

    #[test]
    fn only_an_answer_with_text_has_a_secret() {
        use secrecy::ExposeSecret;
        let secret = |body: &str| {
            let answer = Answer { status: 200, body: body.as_bytes().to_vec() };
            answer.secret().map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(secret(r#"{"Parameter":{"Name":"x","Value":"hunter2\n"}}"#).as_deref(), Some("hunter2"));
        assert_eq!(secret(r#"{"SecretString":"a,b","VersionId":"1"}"#).as_deref(), Some("a,b"));
        for none in [r#"{"SecretBinary":"AAAA"}"#, r#"{"SecretString":" "}"#, "{}", "<html>"] {
            assert_eq!(secret(none), None, "{none}");
        }
    }
}

//! Signed requests to the emulated AWS: what the account's owner does by hand before Terraform and beside it.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sluice_lambda::now;

use crate::serve::client;

pub const REGION: &str = "eu-central-1";
pub const KEY_ID: &str = "AKIDOFTHEOWNER000000";
pub const SECRET_KEY: &str = "secret-key-of-the-owner";

/// Who may do everything in the account.
#[derive(Clone)]
pub struct Owner {
    pub endpoint: String,
}

impl Owner {
    /// Keeps a secret in Parameter Store.
    pub async fn put_parameter(&self, name: &str, value: &str) {
        let body = json!({ "Name": name, "Value": value, "Type": "SecureString" });
        self.call("ssm", "AmazonSSM.PutParameter", &body).await;
    }

    pub async fn create_bucket(&self, bucket: &str) {
        let place = format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        self.must("s3", Method::PUT, &format!("/{bucket}"), &[], place.into_bytes()).await;
    }

    pub async fn put_object(&self, bucket: &str, key: &str, body: Vec<u8>) {
        self.must("s3", Method::PUT, &format!("/{bucket}/{key}"), &[], body).await;
    }

    /// Has no more than `most` invocations of a function run at the same time; None lets go of it.
    pub async fn limit_concurrency(&self, function: &str, most: Option<u32>) {
        let path = format!("/2017-10-31/functions/{function}/concurrency");
        match most {
            Some(most) => {
                let body = json!({ "ReservedConcurrentExecutions": most }).to_string();
                self.must("lambda", Method::PUT, &path, &[], body.into_bytes()).await
            }
            None => self.must("lambda", Method::DELETE, &path, &[], Vec::new()).await,
        };
    }

    /// The names of all functions.
    pub async fn functions(&self) -> Vec<String> {
        let found = self.must("lambda", Method::GET, "/2015-03-31/functions/", &[], Vec::new()).await;
        let functions = found["Functions"].as_array().unwrap().iter();
        functions.map(|function| function["FunctionName"].as_str().unwrap().to_owned()).collect()
    }

    /// What Lambda says of a function's stream mapping: how it last went.
    pub async fn last_result(&self, function: &str) -> String {
        let path = format!("/2015-03-31/event-source-mappings/?FunctionName={function}");
        let found = self.must("lambda", Method::GET, &path, &[], Vec::new()).await;
        let mapping = &found["EventSourceMappings"][0];
        mapping["LastProcessingResult"].as_str().unwrap_or_else(|| panic!("{function} has no mapping: {found}")).into()
    }

    /// All that a log group has, line by line.
    pub async fn logs(&self, group: &str) -> Vec<String> {
        let (mut lines, mut next) = (Vec::new(), None);
        loop {
            let body = json!({ "logGroupName": group, "nextToken": next });
            let mut page = self.call("logs", "Logs_20140328.FilterLogEvents", &body).await;
            let Value::Array(events) = page["events"].take() else { panic!("no events: {page}") };
            lines.extend(events.iter().map(|event| event["message"].as_str().unwrap().to_owned()));
            next = page["nextToken"].as_str().map(str::to_owned);
            if next.is_none() {
                return lines;
            }
        }
    }

    async fn call(&self, service: &str, target: &str, body: &Value) -> Value {
        let mut body = body.clone();
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        self.must(service, Method::POST, "/", &headers, body.to_string().into_bytes()).await
    }

    async fn must(&self, service: &str, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Value {
        let what = format!("{method} {path} of {service}");
        let owner = Credentials::new(KEY_ID, SECRET_KEY, None, None, "the test");
        let (status, answer) = self.send(owner, service, method, path, headers, body).await;
        assert!(status.is_success(), "{what}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or_default()
    }

    /// How the account answers to somebody whom it does not know.
    pub async fn stranger(&self) -> StatusCode {
        let stranger = Credentials::new("AKIDOFNOBODY00000000", SECRET_KEY, None, None, "the test");
        self.send(stranger, "lambda", Method::GET, "/2015-03-31/functions/", &[], Vec::new()).await.0
    }

    async fn send(
        &self,
        caller: Credentials,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> (StatusCode, String) {
        let url = format!("{}{path}", self.endpoint);
        let identity = caller.into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(service)
            .time(UNIX_EPOCH + Duration::from_millis(now().0))
            .settings(settings)
            .build()
            .unwrap();
        let signable = SignableRequest::new(method.as_str(), &url, headers.iter().copied(), SignableBody::Bytes(&body));
        let (signed, _) = sign(signable.unwrap(), &parameters.into()).unwrap().into_parts();
        let mut request = client().request(method, &url);
        for (name, value) in headers.iter().copied().chain(signed.headers()) {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

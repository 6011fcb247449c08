//! What pods refer to: Secrets, `ConfigMaps` and tokens, asked for at the API as a kubelet does.

use std::collections::BTreeMap;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::api::{Api, PostParams};

/// Why something that a pod refers to cannot be used, as its status says it.
#[derive(Debug)]
pub(super) struct Missing(pub String);

/// The namespace of a pod, to look things up in.
pub(super) struct Sources {
    client: kube::Client,
    namespace: String,
}

impl Sources {
    pub fn new(client: kube::Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned() }
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What a Secret or a `ConfigMap` holds, by its keys.
    pub async fn data(&self, kind: &str, name: &str) -> Result<BTreeMap<String, Vec<u8>>, Missing> {
        let data = if kind == "secret" { self.secret(name).await } else { self.config_map(name).await };
        data.map_err(|why| match &why {
            kube::Error::Api(status) if status.code == 404 => {
                Missing(format!("{} \"{name}\" not found", kind.to_lowercase()))
            }
            why => Missing(said(why)),
        })
    }

    async fn secret(&self, name: &str) -> kube::Result<BTreeMap<String, Vec<u8>>> {
        let secret = Api::<Secret>::namespaced(self.client.clone(), &self.namespace).get(name).await?;
        Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
    }

    async fn config_map(&self, name: &str) -> kube::Result<BTreeMap<String, Vec<u8>>> {
        let map = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace).get(name).await?;
        let texts = map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
        let bytes = map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
        Ok(texts.chain(bytes).collect())
    }

    /// A token of a service account, for the API itself.
    pub async fn token(&self, account: &str, seconds: Option<i64>) -> Result<String, Missing> {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace);
        let spec = TokenRequestSpec { expiration_seconds: seconds, ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
        let answer = answer.map_err(|why| Missing(format!("failed to fetch token: {}", said(&why))))?;
        Ok(answer.status.map(|status| status.token).unwrap_or_default())
    }
}

/// What the API said.
fn said(why: &kube::Error) -> String {
    match why {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

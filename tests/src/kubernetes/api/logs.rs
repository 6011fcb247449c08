//! Logs: the API asks the kubelet of the pod's node for them.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use serde_json::Value;

use crate::kubernetes::core::Core;

use super::call::Call;
use super::refusal::Refusal;
use super::resource::{Key, Resource};
use super::world::World;

/// The log of a container.
pub(super) async fn read(core: &Arc<Core>, call: &Call) -> Result<String, Refusal> {
    let url = core.look(|world| world.log_location(call))?;
    let answer = client().get(url).send().await.map_err(|why| Refusal::internal(&why.to_string()))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|why| Refusal::internal(&why.to_string()))?;
    match status.as_u16() {
        200 => Ok(text),
        404 => Err(Refusal::not_found(Resource::Pods, &call.target.name)),
        400 => Err(Refusal::bad_request(text.trim())),
        _ => Err(Refusal::internal(text.trim())),
    }
}

impl World {
    fn log_location(&self, call: &Call) -> Result<String, Refusal> {
        let (resource, name) = (call.target.resource, &call.target.name);
        let pod = self.get(&call.target.key()).ok_or_else(|| Refusal::not_found(resource, name))?;
        let containers = pod["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names: Vec<_> = containers.iter().filter_map(|container| container["name"].as_str()).collect();
        let container = match (call.query("container"), names.as_slice()) {
            ("", [one]) => *one,
            ("", _) => {
                let why = format!("a container name must be specified for pod {name}, choose one of: {names:?}");
                return Err(Refusal::bad_request(why));
            }
            (wanted, names) if names.contains(&wanted) => wanted,
            (wanted, _) => {
                return Err(Refusal::bad_request(format!("container {wanted} is not valid for pod {name}")));
            }
        };
        let Some(node) = pod["spec"]["nodeName"].as_str() else {
            return Err(Refusal::bad_request(format!("pod {name} does not have a host assigned")));
        };
        let node =
            self.get(&Key::new(Resource::Nodes, "", node)).ok_or_else(|| Refusal::not_found(Resource::Nodes, node))?;
        let addresses = node["status"]["addresses"].as_array().map(Vec::as_slice).unwrap_or_default();
        let address =
            addresses.iter().find(|one| one["type"] == "InternalIP").map_or(&Value::Null, |one| &one["address"]);
        let address = address.as_str().ok_or_else(|| Refusal::internal("no preferred addresses found"))?;
        let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64().unwrap_or(10250);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for option in ["tailLines", "limitBytes", "sinceSeconds", "follow", "previous", "timestamps"] {
            if let Some(value) = call.query.get(option) {
                query.append_pair(option, value);
            }
        }
        let (namespace, query) = (&call.target.namespace, query.finish());
        Ok(format!("https://{address}:{port}/containerLogs/{namespace}/{name}/{container}?{query}"))
    }
}

fn client() -> reqwest::Client {
    let provider: Arc<CryptoProvider> = ring::default_provider().into();
    let tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions of TLS")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        .with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build();
    client.expect("a client of fixed settings can be built")
}

/// Takes any certificate: so does an API server that was given no authority for its kubelets.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

//! TLS by rustls and ring, with compiled-in roots: neither reads a disk nor gathers entropy for milliseconds.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::client::SettingsError;

/// A configuration that trusts the public roots and those in `ca_bundle`.
pub(crate) fn config(ca_bundle: Option<&[u8]>) -> Result<ClientConfig, SettingsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(bundle) = ca_bundle {
        add(bundle, &mut roots)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|source| SettingsError::Http(source.into()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn add(bundle: &[u8], roots: &mut RootCertStore) -> Result<(), SettingsError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(bundle) {
        let certificate = certificate.map_err(|source| SettingsError::CaBundle(Some(source.into())))?;
        roots.add(certificate).map_err(|source| SettingsError::CaBundle(Some(source.into())))?;
    }
    if roots.len() == before { Err(SettingsError::CaBundle(None)) } else { Ok(()) }
}

//! From credentials to a client.
//!
//! The client is put together here, as the one that comes ready tries again by itself, for as long as the far side
//! wishes, and logs every failure.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::ConfigExt as _;
use kube::config::{Cluster, Context as KubeContext, KubeConfigOptions, Kubeconfig, NamedCluster, NamedContext};
use kube::{Client, Config};
use tokio::net::TcpStream;
use tower::{BoxError, Service, ServiceBuilder};

use crate::Limits;
use crate::credentials::{Credentials, Eks};
use crate::eks::Tokens;
use crate::error::ClusterError;

/// The client, and what makes its tokens where it does not do that by itself.
pub(crate) async fn connect(
    credentials: Credentials,
    limits: Limits,
) -> Result<(Client, Option<Tokens>), ClusterError> {
    let (config, proxy, tokens) = match credentials {
        Credentials::InCluster => {
            let config = Config::incluster().map_err(|error| ClusterError::Credentials {
                from: "the pod's service account".to_owned(),
                source: error.into(),
            })?;
            (config, None, None)
        }
        Credentials::Kubeconfig { path, context } => {
            let from = path.as_ref().map_or_else(|| "the kubeconfig".to_owned(), |path| path.display().to_string());
            let fault = |error: kube::config::KubeconfigError| ClusterError::Credentials {
                from: from.clone(),
                source: error.into(),
            };
            let kubeconfig = match &path {
                Some(path) => Kubeconfig::read_from(path),
                None => Kubeconfig::read(),
            };
            let kubeconfig = kubeconfig.map_err(fault)?;
            let proxy = own_proxy(&kubeconfig, context.as_deref());
            let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
            (Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(fault)?, proxy, None)
        }
        Credentials::Eks(eks) => {
            let config = Config::try_from(kubeconfig(&eks)).map_err(|error| ClusterError::Credentials {
                from: format!("what is set of the EKS cluster {}", eks.cluster),
                source: error.into(),
            })?;
            (config, None, Some(Tokens::new(eks)))
        }
    };
    let proxy = proxy_to(&config.cluster_url, proxy.as_deref())?;
    // A kubeconfig may name a program to run for a token.
    let built = tokio::task::spawn_blocking(move || client(&config, proxy, limits)).await;
    let client =
        built.map_err(|error| ClusterError::Setup(error.into()))?.map_err(|error| ClusterError::Setup(error.into()))?;
    Ok((client, tokens))
}

/// What is known of an EKS cluster, as a kubeconfig says it.
fn kubeconfig(eks: &Eks) -> Kubeconfig {
    let authority = eks.authority.trim();
    let authority = if authority.starts_with("-----") { STANDARD.encode(authority) } else { authority.to_owned() };
    let cluster = Cluster {
        server: Some(eks.url.clone()),
        certificate_authority_data: Some(authority).filter(|authority| !authority.is_empty()),
        ..Cluster::default()
    };
    let context = KubeContext { cluster: eks.cluster.clone(), ..KubeContext::default() };
    Kubeconfig {
        clusters: vec![NamedCluster { cluster: Some(cluster), name: eks.cluster.clone(), other: BTreeMap::default() }],
        contexts: vec![NamedContext { context: Some(context), name: eks.cluster.clone(), other: BTreeMap::default() }],
        current_context: Some(eks.cluster.clone()),
        ..Kubeconfig::default()
    }
}

/// The proxy that a kubeconfig itself names for the cluster of a context.
fn own_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == name)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster)?.cluster.as_ref()?;
    cluster.proxy_url.clone().filter(|url| !url.is_empty())
}

/// The way over a proxy, if there is to be one: the kubeconfig's own, or the environment's, and that never to this
/// machine.
fn proxy_to(cluster: &Uri, own: Option<&str>) -> Result<Option<Tunnel<HttpConnector>>, ClusterError> {
    let host = cluster.host().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let matcher = match own {
        Some(url) => Matcher::builder().all(url.to_owned()).build(),
        None if here => return Ok(None),
        None => Matcher::from_env(),
    };
    let Some(proxy) = matcher.intercept(cluster) else { return Ok(None) };
    if proxy.uri().scheme_str() != Some("http") {
        return Err(ClusterError::Proxy(proxy.uri().host().unwrap_or_default().to_owned()));
    }
    let tunnel = Tunnel::new(proxy.uri().clone(), HttpConnector::new());
    Ok(Some(match proxy.basic_auth() {
        Some(auth) => tunnel.with_auth(auth.clone()),
        None => tunnel,
    }))
}

fn client(config: &Config, proxy: Option<Tunnel<HttpConnector>>, limits: Limits) -> Result<Client, kube::Error> {
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    direct.set_connect_timeout(Some(limits.connect));
    let connector = config.rustls_https_connector_with_connector(Reach { direct, proxy })?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector));
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// The way to the cluster: straight, or over a proxy.
#[derive(Clone)]
struct Reach {
    direct: HttpConnector,
    proxy: Option<Tunnel<HttpConnector>>,
}

impl Service<Uri> for Reach {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match &mut self.proxy {
            None => {
                let connecting = self.direct.call(to);
                Box::pin(async { Ok(connecting.await?) })
            }
            Some(proxy) => {
                let connecting = proxy.call(to);
                Box::pin(async { Ok(connecting.await?) })
            }
        }
    }
}

//! As whom a cluster is asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use sluice_domain::Timestamp;
use sluice_domain::ports::{Cluster as _, JobPlace};
use sluice_domain::{Classify as _, Fault as Who};
use sluice_kubernetes::{AwsCredentials, AwsKeys, ClusterError, Credentials, Eks, KeysFuture, Kubernetes, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A server that answers every request with a status, and keeps what was sent.
async fn server(status: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or_default() == 0 {
                    break;
                }
            }
            keep.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, heard)
}

struct Keys(Result<(), &'static str>);

impl AwsCredentials for Keys {
    fn keys(&self) -> KeysFuture<'_> {
        Box::pin(async move {
            self.0?;
            Ok(AwsKeys {
                access_key_id: "AKIDEXAMPLE".to_owned(),
                secret_access_key: SecretString::from("hush"),
                session_token: None,
            })
        })
    }
}

async fn eks(url: &str, keys: Keys) -> Kubernetes {
    trusting(url, "", keys).await.unwrap()
}

async fn trusting(url: &str, authority: &str, keys: Keys) -> Result<Kubernetes, ClusterError> {
    let eks = Eks {
        cluster: "prod".to_owned(),
        url: url.to_owned(),
        authority: authority.to_owned(),
        region: "eu-central-1".to_owned(),
        keys: Arc::new(keys),
    };
    let clock = Arc::new(|| Timestamp(1_795_219_200_000));
    Kubernetes::connect(Credentials::Eks(eks), Limits::default(), clock).await
}

/// A server of TLS with a certificate of its own: its URL, that certificate as PEM, and whether it heard anything.
async fn sealed() -> (String, String, Arc<Mutex<bool>>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let heard = Arc::new(Mutex::new(false));
    let keep = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 16 * 1024];
            *keep.lock().unwrap() |= stream.read(&mut request).await.unwrap_or_default() > 0;
            let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            // Whoever has heard enough may be gone.
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    let lines = STANDARD.encode(made.cert.der());
    let lines: Vec<&str> = lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    (url, pem, heard)
}

#[tokio::test]
async fn a_token_goes_only_to_whom_the_clusters_authority_vouches_for() {
    let (url, authority, heard) = sealed().await;
    let (_, other, _) = sealed().await;
    let error = trusting(&url, &other, Keys(Ok(()))).await.unwrap().remove(&place()).await.unwrap_err();
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{error}");
    assert!(!*heard.lock().unwrap());
    for authority in [STANDARD.encode(&authority), authority] {
        // There is no such job: that is what was wanted.
        trusting(&url, &authority, Keys(Ok(()))).await.unwrap().remove(&place()).await.unwrap();
    }
    assert!(*heard.lock().unwrap());
    let error = trusting(&url, "no certificate", Keys(Ok(()))).await.err().unwrap();
    assert!(error.to_string().starts_with("cannot use what is set of the EKS cluster prod"), "{error}");
}

fn place() -> JobPlace {
    JobPlace { namespace: "jobs".to_owned(), name: "sluice-1".to_owned() }
}

#[tokio::test]
async fn eks_is_asked_with_a_token_of_aws() {
    let (url, heard) = server("401 Unauthorized").await;
    let kubernetes = eks(&url, Keys(Ok(()))).await;
    let error = kubernetes.remove(&place()).await.unwrap_err();
    assert!(matches!(error, ClusterError::Unknown(_)), "{error}");
    assert_eq!(error.fault(), Who::TRANSIENT);
    let heard = heard.lock().unwrap().join("\n");
    assert!(heard.starts_with("DELETE /apis/batch/v1/namespaces/jobs/jobs/sluice-1"), "{heard}");
    let token = heard.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap();
    assert!(token.starts_with("k8s-aws-v1."), "{token}");
    assert!(!format!("{error:?}").contains(token));
}

#[tokio::test]
async fn without_keys_nobody_is_asked() {
    let (url, heard) = server("200 OK").await;
    let error = eks(&url, Keys(Err("no role"))).await.remove(&place()).await.unwrap_err();
    assert!(matches!(error, ClusterError::AwsKeys(_)), "{error}");
    assert_eq!((error.fault(), heard.lock().unwrap().len()), (Who::TRANSIENT, 0));
}

#[tokio::test]
async fn a_wait_that_the_cluster_asks_for_in_its_header_is_told() {
    let (url, _) = server("503 Service Unavailable\r\nretry-after: 9").await;
    let error = eks(&url, Keys(Ok(()))).await.remove(&place()).await.unwrap_err();
    assert_eq!(error.fault(), Who::Transient { after_ms: Some(9_000) });
    let (url, _) = server("503 Service Unavailable\r\nretry-after: 18446744073709551615").await;
    let error = eks(&url, Keys(Ok(()))).await.remove(&place()).await.unwrap_err();
    assert_eq!(error.fault(), Who::Transient { after_ms: Some(60_000) });
    let (url, _) = server("429 Too Many Requests\r\nretry-after: 3").await;
    let error = eks(&url, Keys(Ok(()))).await.remove(&place()).await.unwrap_err();
    assert_eq!(error.fault(), Who::Throttled { after_ms: 3_000 });
}

#[tokio::test]
async fn a_cluster_that_nobody_listens_for_is_not_reached() {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let error = eks(&format!("http://{free}"), Keys(Ok(()))).await.remove(&place()).await.unwrap_err();
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{error}");
    assert_eq!(error.fault(), Who::TRANSIENT);
}

#[tokio::test]
async fn a_program_that_a_kubeconfig_names_is_asked_for_the_token() {
    let (url, heard) = server("403 Forbidden").await;
    let status =
        r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"told"}}"#;
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: other\nclusters:\n- name: a\n  cluster:\n    server: {url}\n\
         contexts:\n- name: it\n  context:\n    cluster: a\n    user: u\n    namespace: checks\nusers:\n- name: u\n  \
         user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: echo\n      interactiveMode: Never\n      \
         args:\n      - '{status}'\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, config).unwrap();
    let clock = Arc::new(|| Timestamp(0));
    let of = |context: Option<&str>| Credentials::Kubeconfig {
        path: Some(path.clone()),
        context: context.map(str::to_owned),
    };
    let limits = Limits { connect: Duration::from_secs(2), ..Limits::default() };
    let kubernetes = Kubernetes::connect(of(Some("it")), limits, clock.clone()).await.unwrap();
    assert_eq!(kubernetes.namespace(), "checks");
    kubernetes.remove(&place()).await.unwrap_err();
    assert!(heard.lock().unwrap().join("\n").contains("authorization: Bearer told"));
    let Err(error) = Kubernetes::connect(of(None), limits, clock).await else { panic!("there is no such context") };
    assert!(error.to_string().starts_with("cannot use "), "{error}");
    assert_eq!(error.fault(), Who::Permanent);
}

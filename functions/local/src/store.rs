//! The table on a laptop: an embedded DynamoDB-compatible store on loopback, spoken to with the real SDK; or a real
//! table, where one is named.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use dynoxide::Database;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sluice_aws::Table;
use sluice_domain::ports::StoreError;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Name of the table in the embedded store.
const TABLE: &str = "sluice";

/// The file of the embedded store, and the one that is held by the process that works on it.
const TABLE_FILE: &str = "table.sqlite";
const LOCK_FILE: &str = "serve.lock";

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be used.
    #[error("cannot use the data directory {path}")]
    Directory {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is nothing to look at.
    #[error("there is no store in {0}: say with --data-dir where sluice serve keeps it")]
    NoStore(String),
    /// The database cannot be opened.
    #[error("cannot open the embedded store {path}: {why}")]
    Database {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// Another process works on the directory.
    #[error("another sluice serve works in {0}: stop it, or give this one another directory")]
    Taken(String),
    /// No port on loopback.
    #[error("cannot listen on loopback for the embedded store")]
    Listen(#[source] io::Error),
    /// The table could not be made.
    #[error(transparent)]
    Table(#[from] StoreError),
    /// The SDK's settings do not make a client.
    #[error(transparent)]
    Connect(#[from] sluice_aws::ConnectError),
}

/// Holds a directory against other processes that would work in it, until it is dropped or its process ends.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "it is held, not read")] std::fs::File);

impl Alone {
    /// Takes `directory`, which is made if need be. Whoever only reads it or replays dead letters need not.
    pub fn in_directory(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.display().to_string();
        let unusable = |source| OpenError::Directory { path: path.clone(), source };
        std::fs::create_dir_all(directory).map_err(unusable)?;
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(directory.join(LOCK_FILE));
        let file = file.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Taken(path)),
            Err(std::fs::TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}

/// A running embedded store. Dropping it stops it without ceremony, which loses nothing that was answered for.
#[derive(Debug)]
pub struct Embedded {
    /// The table in it.
    pub table: Table,
    /// Its address, for `AWS_ENDPOINT_URL_DYNAMODB`.
    pub endpoint: String,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Embedded {
    /// Opens the store in `directory` only if there is one, for those who come to look.
    pub async fn open_existing(directory: &Path) -> Result<Self, OpenError> {
        if !directory.join(TABLE_FILE).exists() {
            return Err(OpenError::NoStore(directory.display().to_string()));
        }
        Self::open(Some(directory)).await
    }

    /// Opens the store in `directory`, or one in memory that is gone with the process.
    pub async fn open(directory: Option<&Path>) -> Result<Self, OpenError> {
        let database = match directory {
            None => Database::memory(),
            Some(directory) => {
                let unusable = |source| OpenError::Directory { path: directory.display().to_string(), source };
                std::fs::create_dir_all(directory).map_err(unusable)?;
                Database::new(&directory.join(TABLE_FILE).to_string_lossy())
            }
        };
        let path = || directory.map_or_else(|| "in memory".to_owned(), |it| it.join(TABLE_FILE).display().to_string());
        let database = database.map_err(|error| OpenError::Database { path: path(), why: error.to_string() })?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(OpenError::Listen)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(OpenError::Listen)?);
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let shutdown = async move { drop(stopped.await) };
            if let Err(error) = dynoxide::server::serve_with_shutdown(listener, database, shutdown).await {
                tracing::error!("the embedded store stopped: {error}");
            }
        });
        let table = Table::connect(&settings(&endpoint), TABLE)?;
        table.create().await?;
        Ok(Self { table, endpoint, stop: Some(stop), served })
    }

    /// Stops the store once what it was asked is answered.
    pub async fn close(mut self) {
        drop(self.stop.take());
        // Idle connections of the SDK's pool keep the server from ending by itself.
        let patience = std::time::Duration::from_millis(200);
        if tokio::time::timeout(patience, &mut self.served).await.is_err() {
            self.served.abort();
        }
    }
}

/// The SDK's own settings for a store on loopback, which takes any credentials.
fn settings(endpoint: &str) -> BTreeMap<String, String> {
    [
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The key that output digests are made with: kept beside the table, and made anew with it.
pub fn digest_key(directory: Option<&Path>) -> Result<SecretSlice<u8>, OpenError> {
    kept_key(directory, "digest.key")
}

/// The key that access tokens are sealed with, likewise.
pub fn gate_key(directory: Option<&Path>) -> Result<SecretString, OpenError> {
    let key = kept_key(directory, "gate.key")?;
    let digits = key.expose_secret().iter().map(|byte| format!("{byte:02x}"));
    Ok(SecretString::from(digits.collect::<String>()))
}

fn kept_key(directory: Option<&Path>, file: &str) -> Result<SecretSlice<u8>, OpenError> {
    let Some(directory) = directory else { return Ok(random_key()) };
    let unusable = |source| OpenError::Directory { path: directory.display().to_string(), source };
    std::fs::create_dir_all(directory).map_err(unusable)?;
    let path = directory.join(file);
    match std::fs::read(&path) {
        Ok(key) if key.len() == KEY_BYTES => Ok(key.into()),
        Ok(_) => Err(unusable(io::Error::new(io::ErrorKind::InvalidData, format!("{file} is not 32 bytes long")))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = random_key();
            write_private(&path, &key).map_err(unusable)?;
            Ok(key)
        }
        Err(error) => Err(unusable(error)),
    }
}

const KEY_BYTES: usize = 32;

fn random_key() -> SecretSlice<u8> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).expect("the operating system gives random numbers");
    key.to_vec().into()
}

fn write_private(path: &Path, key: &SecretSlice<u8>) -> io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(key.expose_secret())?;
    file.sync_all()
}

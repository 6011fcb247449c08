//! A cluster of the demo's own: its images are functions, and a job is a task of this process. To whoever asks for a job
//! it is as any other.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::ExposeSecret;
use sluice_domain::gate::Program;
use sluice_domain::ports::{Cluster, JobEnd, JobExit, JobOrder, JobPlace, Output, Patience, Standing};
use sluice_domain::{Classify, Fault, Told};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What an image does with its environment: what it writes, and its exit code.
pub type Image = fn(BTreeMap<String, String>) -> Pin<Box<dyn Future<Output = (String, i32)> + Send>>;

/// Jobs in this process.
#[derive(Default)]
pub struct InProcess {
    images: BTreeMap<&'static str, Image>,
    jobs: Mutex<BTreeMap<JobPlace, Job>>,
}

/// A job: what it came to, once it has.
struct Job {
    ended: watch::Receiver<Option<(String, i32)>>,
    task: AbortHandle,
}

/// There is no such image.
#[derive(Debug, thiserror::Error)]
#[error("the demo has no image {0:?}")]
pub struct NoImage(String);

impl Classify for NoImage {
    fn fault(&self) -> Fault {
        Fault::Permanent
    }
}

impl Told for NoImage {
    fn told(&self) -> String {
        self.to_string()
    }
}

impl InProcess {
    /// A cluster that has these images.
    pub fn with(images: impl IntoIterator<Item = (&'static str, Image)>) -> Self {
        Self { images: images.into_iter().collect(), ..Self::default() }
    }

    fn ended(&self, place: &JobPlace) -> Option<watch::Receiver<Option<(String, i32)>>> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.get(place).map(|job| job.ended.clone())
    }
}

impl Cluster for InProcess {
    type Error = NoImage;

    async fn start(&self, order: &JobOrder<'_>) -> Result<(), NoImage> {
        let name = match &order.spec.program {
            Program::Image { image } => image.as_deref().unwrap_or_default(),
            Program::Service { service, .. } => service,
        };
        let image = *self.images.get(name).ok_or_else(|| NoImage(name.to_owned()))?;
        let mut env = order.env.clone();
        env.extend(order.secrets.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())));
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.entry(order.place.clone()).or_insert_with(|| {
            let (tell, ended) = watch::channel(None);
            let task = tokio::spawn(async move { drop(tell.send(Some(image(env).await))) });
            Job { ended, task: task.abort_handle() }
        });
        Ok(())
    }

    async fn watch(&self, place: &JobPlace, _patience: Patience, slice: Duration) -> Result<Standing, NoImage> {
        let Some(mut ended) = self.ended(place) else { return Ok(Standing::Gone) };
        let told = tokio::time::timeout(slice, ended.wait_for(Option::is_some)).await;
        Ok(match told {
            Err(_) => Standing::UnderWay { message: "runs".to_owned() },
            Ok(told) => {
                let (text, how) = match told.ok().and_then(|told| told.clone()) {
                    Some((text, code)) => (text, JobExit::Code(code)),
                    None => (String::new(), panicked()),
                };
                Standing::Ended(JobEnd { how, output: Output { text, cut: false }, task_data: None })
            }
        })
    }

    async fn output(&self, _place: &JobPlace) -> Result<Output, NoImage> {
        Ok(Output::default())
    }

    async fn remove(&self, place: &JobPlace) -> Result<(), NoImage> {
        if let Some(job) = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(place) {
            job.task.abort();
        }
        Ok(())
    }
}

fn panicked() -> JobExit {
    JobExit::Broken { reason: "Panicked".to_owned(), message: "the image of the demo came to no end".to_owned() }
}

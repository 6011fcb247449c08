//! The simulator's engine: the state behind its lock, and the jobs that a change of it leaves to be done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::model::{QueueKey, World};
use super::notify::{self, Outgoing};
use super::runs::Step;
use super::tasks;

/// Something to be done without the lock.
#[derive(Debug)]
pub(super) enum Job {
    /// A run takes its next step after a while.
    Step { after: Duration, run: String, step: Step },
    /// The deliveries of a queue are sent, one after the other, until it is empty.
    Deliver(QueueKey),
    /// One delivery is sent after a while, apart from its queue.
    DeliverLater { after: Duration, outgoing: Outgoing },
    /// A delivery that is held back is sent if it still is after a while.
    Release { after: Duration, configuration: String },
    /// The request of a task result is sent after a while.
    Ask { after: Duration, result: String },
    /// Nothing, but the simulator is not settled before.
    Wait(Duration),
}

pub(super) struct Core {
    world: Mutex<World>,
    /// The thread that has the lock.
    holder: Mutex<Option<ThreadId>>,
    runtime: Handle,
    client: reqwest::Client,
    /// For requests to run tasks.
    asking: reqwest::Client,
    changes: watch::Sender<u64>,
    stopped: watch::Sender<bool>,
}

impl Core {
    pub fn new(world: World) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            holder: Mutex::new(None),
            runtime: Handle::current(),
            client: notify::client(),
            asking: tasks::client(),
            changes: watch::Sender::new(0),
            stopped: watch::Sender::new(false),
        })
    }

    /// Looks at the state.
    pub fn look<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        self.hold(|world| look(world))
    }

    /// Changes the state, then starts the jobs that this left in the outbox.
    pub fn with<R>(self: &Arc<Self>, change: impl FnOnce(&mut World) -> R) -> R {
        let (result, jobs, unwatched) = self.hold(|world| {
            let result = change(world);
            (result, std::mem::take(&mut world.outbox), std::mem::take(&mut world.tasks.unwatched))
        });
        for job in jobs {
            self.start(job);
        }
        for result in unwatched {
            // No job: a task that does not answer keeps nothing moving.
            self.spawn(tasks::watch(Arc::clone(self), result));
        }
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// A closure that asks the simulator while it is run under the lock would wait for ever: it is told so instead.
    fn hold<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let me = Some(thread::current().id());
        assert!(*self.holder() != me, "the simulator cannot be asked from inside of a closure that it was given");
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        *self.holder() = me;
        // Dropped before the lock is, and also when the closure panics.
        let _held = Held(self);
        act(&mut world)
    }

    fn holder(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, job: Job) {
        let core = Arc::clone(self);
        self.spawn(async move {
            core.perform(job).await;
            core.with(|world| world.jobs -= 1);
        });
    }

    /// Runs a task that ends with the simulator at the latest.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut stopped = self.stopped.subscribe();
        self.runtime.spawn(async move {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => {}
                () = task => {}
            }
        });
    }

    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub fn stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until no job is left. What is still open then waits for a person or for a run task.
    pub async fn settled(&self) {
        let mut changes = self.changes();
        while self.look(|world| world.jobs > 0) && changes.changed().await.is_ok() {}
    }

    /// Sends one notification, once, and says what the receiver answered.
    pub async fn send(&self, outgoing: &Outgoing) -> Option<u16> {
        notify::send(&self.client, outgoing).await
    }

    /// Sends one request to a run task, once, and says what it answered.
    pub async fn ask(&self, post: &tasks::Post) -> Option<u16> {
        tasks::send(&self.asking, post).await
    }

    async fn perform(self: &Arc<Self>, job: Job) {
        match job {
            Job::Step { after, run, step } => {
                tokio::time::sleep(after).await;
                self.with(|world| world.step(&run, step));
            }
            Job::Deliver(queue) => {
                while let Some(outgoing) = self.with(|world| world.next_delivery(&queue)) {
                    self.deliver(outgoing).await;
                }
            }
            Job::DeliverLater { after, outgoing } => {
                tokio::time::sleep(after).await;
                self.deliver(outgoing).await;
            }
            Job::Release { after, configuration } => {
                tokio::time::sleep(after).await;
                if let Some(outgoing) = self.with(|world| world.held.remove(&configuration)) {
                    self.deliver(outgoing).await;
                }
            }
            Job::Ask { after, result } => {
                tokio::time::sleep(after).await;
                tasks::ask(self, &result).await;
            }
            Job::Wait(after) => tokio::time::sleep(after).await,
        }
    }

    async fn deliver(self: &Arc<Self>, outgoing: Outgoing) {
        let status = self.send(&outgoing).await;
        self.with(|world| world.delivered(&outgoing, status));
    }
}

struct Held<'a>(&'a Core);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.0.holder() = None;
    }
}

//! The simulator's engine: the state behind its lock, and the jobs that a change of it leaves to be done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::model::{QueueKey, World};
use super::notify::{self, Outgoing};
use super::runs::Step;

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
    /// Nothing, but the simulator is not settled before.
    Wait(Duration),
}

pub(super) struct Core {
    world: Mutex<World>,
    /// The thread that has the lock.
    holder: Mutex<Option<ThreadId>>,
    runtime: Handle,
    client: reqwest::Client,
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
        let (result, jobs) = self.hold(|world| (change(world), std::mem::take(&mut world.outbox)));
        for job in jobs {
            self.start(job);
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

    /// Waits until no job is left. What is still open then waits for a person.
    pub async fn settled(&self) {
        let mut changes = self.changes.subscribe();
        while self.look(|world| world.jobs > 0) && changes.changed().await.is_ok() {}
    }

    /// Sends one notification, once, and says what the receiver answered.
    pub async fn send(&self, outgoing: &Outgoing) -> Option<u16> {
        notify::send(&self.client, outgoing).await
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

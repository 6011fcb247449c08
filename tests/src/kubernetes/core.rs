//! The double's engine: the state behind its lock, and the controllers that come after every change of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::api::World;

/// How long the controllers sleep where nothing is due.
const IDLE: Duration = Duration::from_hours(1);

pub(super) struct Core {
    world: Mutex<World>,
    changes: watch::Sender<u64>,
    stopped: watch::Sender<bool>,
    runtime: Handle,
}

impl Core {
    pub fn new(world: World) -> Arc<Self> {
        let core = Arc::new(Self {
            world: Mutex::new(world),
            changes: watch::Sender::new(0),
            stopped: watch::Sender::new(false),
            runtime: Handle::current(),
        });
        core.spawn(wake(Arc::downgrade(&core), core.changes()));
        core
    }

    /// Looks at the state.
    pub fn look<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        look(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state, then lets the controllers do what follows from it.
    pub fn with<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        let result = {
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            let result = change(&mut world);
            world.reconcile();
            result
        };
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Runs a task that ends with the cluster at the latest.
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
}

/// Lets the controllers work when something falls due by itself.
async fn wake(core: std::sync::Weak<Core>, mut changes: watch::Receiver<u64>) {
    loop {
        changes.borrow_and_update();
        let Some(core) = core.upgrade() else { return };
        let left = core.look(|world| world.due.map(|due| due - world.clock.now()));
        if left.is_some_and(|left| !left.is_positive()) {
            core.with(|_| ());
            continue;
        }
        drop(core);
        let left = left.map_or(IDLE, |left| left.try_into().unwrap_or(IDLE));
        if let Ok(Err(_)) = tokio::time::timeout(left, changes.changed()).await {
            return;
        }
    }
}

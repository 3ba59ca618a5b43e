//! The only spawner: what runs beside the requests (reload, feeds, gauges) is started here and ends with the process.
//!
//! These tasks run on the main thread's own runtime, apart from the threads that serve callers.

use tokio::task::JoinSet;

/// Background tasks; dropping this ends them all.
#[derive(Default)]
pub struct Tasks(JoinSet<()>);

impl Tasks {
    /// Starts a task. One that panics ends alone.
    pub fn start(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}

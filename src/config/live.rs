//! The catalog in use: one pointer, replaced whole.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::catalog::Catalog;

/// Holds the catalog that new requests are served by. A request takes it once and keeps what it took.
pub struct Live {
    current: ArcSwap<Catalog>,
    /// Held while a new one is put in, so that no generation is given twice.
    replacing: Mutex<()>,
}

impl Live {
    /// Serves `catalog` as the first generation.
    pub fn new(mut catalog: Catalog) -> Self {
        catalog.generation = 1;
        Self { current: ArcSwap::from_pointee(catalog), replacing: Mutex::new(()) }
    }

    /// The catalog in use.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// Serves `catalog` from now on, one generation above the one before it, and gives it back as served.
    pub fn replace(&self, mut catalog: Catalog) -> Arc<Catalog> {
        let _replacing = self.replacing.lock();
        catalog.generation = self.current.load().generation.saturating_add(1);
        let next = Arc::new(catalog);
        self.current.store(Arc::clone(&next));
        next
    }
}

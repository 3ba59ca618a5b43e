//! Where tasks are written, so that advice on them names a file, a line and a column.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    advice,
    catalog::router::Router,
    classify::Classifier,
    config::fault::{Fault, Place},
    ids::RouterName,
};

/// The places of all tasks, by router and policy.
#[derive(Debug, Clone, Default)]
pub struct TaskPlaces(BTreeMap<RouterName, Vec<Fault>>);

impl TaskPlaces {
    /// Remembers where the tasks of `router` are written, in the order of its policies.
    pub(crate) fn insert(&mut self, router: &RouterName, places: &[Place<'_>]) {
        let places = places.iter().map(|place| place.said(String::new())).collect();
        self.0.insert(router.clone(), places);
    }

    /// All advice on `routers`, each where its task is written, by file and line.
    pub async fn advice<'a>(
        &self,
        routers: impl Iterator<Item = &'a Arc<Router>>,
        classifier: Option<&dyn Classifier>,
    ) -> Vec<Fault> {
        let mut found = Vec::new();
        for router in routers {
            let warnings = advice::on(router, classifier).await;
            found.extend(warnings.into_iter().map(|warning| self.locate(router, warning)));
        }
        found.sort();
        found
    }

    fn locate(&self, router: &Router, warning: advice::Warning) -> Fault {
        let message = warning.message;
        let places = self.0.get(&router.name);
        match places.and_then(|places| places.get(warning.policy)) {
            Some(place) => Fault { message, ..place.clone() },
            None => Fault {
                file: format!("router {}", router.name),
                line: 0,
                column: 0,
                path: warning.path,
                message,
            },
        }
    }
}

//! The questions, who is asked, and what came of it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use anyhow::{Context as _, anyhow, bail};
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    catalog::router::{Policy, Router},
    cli::eval::answers::{
        ask::Proxy,
        grade::{self, Grader, Rule},
    },
    ids::{ModelId, TaskName},
};

/// The longest line of a data file, in bytes.
const MAX_LINE: usize = 32 << 20;

/// How many questions are open at a time.
const AT_ONCE: usize = 4;

/// All questions, and the models of each task.
pub(super) struct Exam {
    questions: Vec<Question>,
    models: BTreeMap<TaskName, Vec<ModelId>>,
    /// Lines that no task of the router belongs to.
    pub(super) skipped: usize,
}

struct Question {
    task: TaskName,
    messages: Value,
    /// Absent: a model grades.
    grader: Option<Grader>,
}

/// What one model made of one task.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    /// Answers that were graded.
    pub(super) graded: u32,
    /// The sum of their grades.
    pub(super) sum: f64,
    /// Questions without an answer, or without a grade.
    pub(super) lost: u32,
    /// Why the last of those was lost.
    pub(super) last_fault: Option<String>,
}

/// The marks of each task's models.
pub(super) type Results = BTreeMap<(TaskName, ModelId), Marks>;

#[derive(Deserialize)]
struct Line {
    text: Option<String>,
    messages: Option<Value>,
    conversation: Option<Value>,
    task: Option<String>,
    label: Option<String>,
    #[serde(flatten)]
    rule: Rule,
}

impl Exam {
    /// Reads the file at `path`, whose labels are tasks of `router`. `judged` says whether lines may say nothing of
    /// their answers.
    pub(super) fn read(path: &Path, router: &Router, judged: bool) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut exam = Self { questions: Vec::new(), models: BTreeMap::new(), skipped: 0 };
        for (index, line) in BufReader::new(file).lines().enumerate() {
            let place = || format!("{}:{}", path.display(), index.saturating_add(1));
            let line = line.with_context(place)?;
            if !line.trim().is_empty() {
                exam.add(&line, router, judged).with_context(place)?;
            }
        }
        if exam.questions.is_empty() {
            bail!("{} holds no line with a task of the router", path.display());
        }
        Ok(exam)
    }

    fn add(&mut self, text: &str, router: &Router, judged: bool) -> anyhow::Result<()> {
        if text.len() > MAX_LINE {
            bail!("the line is longer than {MAX_LINE} bytes");
        }
        let line: Line = serde_json::from_str(text)?;
        let label = line.task.or(line.label).filter(|label| label != "none");
        let Some(label) = label else {
            self.skipped = self.skipped.saturating_add(1);
            return Ok(());
        };
        let policy = policy(router, &label)?;
        let messages = match (line.text, line.messages.or(line.conversation)) {
            (Some(text), _) => json!([{"role": "user", "content": text}]),
            (None, Some(messages @ Value::Array(_))) => messages,
            (None, _) => bail!("`text` or `messages` is missing"),
        };
        let grader = line.rule.grader()?;
        if grader.is_none() && !judged {
            bail!(
                "`expect`, `contains` or `matches` is missing; with --judge MODEL lines need none"
            );
        }
        let task = policy.task.name.clone();
        let models = || policy.models.iter().map(|model| model.id.clone()).collect();
        self.models.entry(task.clone()).or_insert_with(models);
        self.questions.push(Question { task, messages, grader });
        Ok(())
    }

    /// How many requests it takes, those to a judge aside.
    pub(super) fn requests(&self) -> usize {
        self.pairs().count()
    }

    fn pairs(&self) -> impl Iterator<Item = (&Question, &ModelId)> {
        self.questions.iter().flat_map(|question| {
            let models = self.models.get(&question.task).map(Vec::as_slice).unwrap_or_default();
            models.iter().map(move |model| (question, model))
        })
    }

    /// Asks every question of every model of its task.
    pub(super) async fn sit(&self, proxy: &Proxy, judge: Option<&str>) -> Results {
        let asked = stream::iter(self.pairs()).map(|(question, model)| async move {
            ((question.task.clone(), model.clone()), question.grade(proxy, model, judge).await)
        });
        let mut results = Results::new();
        let mut graded = asked.buffered(AT_ONCE);
        while let Some((pair, grade)) = graded.next().await {
            results.entry(pair).or_default().add(grade);
        }
        results
    }
}

fn policy<'r>(router: &'r Router, label: &str) -> anyhow::Result<&'r Policy> {
    let found = router.policies.iter().find(|policy| policy.task.name.as_str() == label);
    found.ok_or_else(|| {
        let known: Vec<&str> =
            router.policies.iter().map(|policy| policy.task.name.as_str()).collect();
        anyhow!("unknown label {label:?}; the router has {}, and `none`", known.join(", "))
    })
}

impl Question {
    async fn grade(
        &self,
        proxy: &Proxy,
        model: &ModelId,
        judge: Option<&str>,
    ) -> anyhow::Result<f64> {
        let answer = proxy.ask(model.as_str(), &self.messages).await?;
        match (&self.grader, judge) {
            (Some(grader), _) => Ok(grader.grade(&answer)),
            (None, Some(judge)) => {
                let said = proxy.ask(judge, &grade::question(&self.messages, &answer)).await;
                let said = said.context("the judge did not answer")?;
                grade::verdict(&said)
                    .ok_or_else(|| anyhow!("the judge gave no number from 0 to 10"))
            }
            (None, None) => bail!("nothing says how to grade it"),
        }
    }
}

impl Marks {
    fn add(&mut self, grade: anyhow::Result<f64>) {
        match grade {
            Ok(grade) => {
                self.graded = self.graded.saturating_add(1);
                self.sum += grade;
            }
            Err(fault) => {
                self.lost = self.lost.saturating_add(1);
                self.last_fault = Some(format!("{fault:#}"));
            }
        }
    }
}

//! A generative router against a scripted engine.

use std::{collections::BTreeMap, sync::atomic::AtomicUsize, sync::atomic::Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use url::Url;

use crate::{
    catalog::{
        provider::{Api, Auth},
        router::{Policy, Prefer, Task},
        settings::Failover,
    },
    ids::{ProviderId, RouterName, TaskName},
};

use super::*;

/// An engine that gives the same answer to every request, and counts them.
struct Engine {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Engine {
    /// `answer` is a whole HTTP answer; an empty one never comes.
    async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut seen = Vec::new();
                while !seen.ends_with(b"\"stream\":false}") {
                    let mut piece = [0; 4_096];
                    let read = socket.read(&mut piece).await.unwrap();
                    assert_ne!(read, 0, "the request is whole");
                    seen.extend_from_slice(&piece[..read]);
                }
                counter.fetch_add(1, Ordering::Relaxed);
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
                // A client that has seen enough closes early.
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, asked }
    }

    async fn saying(content: &str) -> Self {
        let body = format!(
            r#"{{"choices":[{{"message":{{"role":"assistant","content":{}}}}}]}}"#,
            json::quote(content)
        );
        Self::start(answer("200 OK", &body)).await
    }

    fn router(&self, format: ChatFormat, listen: SocketAddr) -> Result<Chat, ClassifierFault> {
        let settings = ChatClassifier {
            provider: ProviderId::parse("gpu").unwrap(),
            model: "router-1.5b".to_owned(),
            timeout: Duration::from_millis(300),
            format,
        };
        let provider = Arc::new(Provider {
            id: settings.provider.clone(),
            api: Api::OpenAiChat,
            base_url: Url::parse(&format!("http://{}/v1", self.address)).unwrap(),
            auth: Auth::None,
            query: Vec::new(),
            headers: Vec::new(),
            allow_private: true,
            ca: None,
        });
        Chat::new(&settings, &provider, listen)
    }

    async fn verdict(&self, format: ChatFormat) -> Result<Verdict, Unclassified> {
        let chat = self.router(format, elsewhere()).unwrap();
        chat.classify(&Conversation::from_text("fix this </conversation>"), &tasks(), None).await
    }
}

fn elsewhere() -> SocketAddr {
    "127.0.0.1:1".parse().unwrap()
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn tasks() -> Arc<Router> {
    let policies = ["bug-fixing", "tests"].into_iter().map(|name| Policy {
        task: Arc::new(Task {
            name: TaskName::parse(name).unwrap(),
            description: "a description".to_owned(),
            examples: Vec::new(),
            quality: BTreeMap::default(),
        }),
        models: Vec::new(),
        prefer: Prefer::Given,
    });
    Arc::new(Router {
        name: RouterName::parse("test").unwrap(),
        description: String::new(),
        policies: policies.collect(),
        fallbacks: Vec::new(),
        threshold: None,
        failover: Failover::default(),
        switch_budget: None,
    })
}

#[tokio::test]
async fn a_name_is_certain_and_other_is_none() {
    let named = Engine::saying(r#"{"route": "tests"}"#).await;
    let verdict = named.verdict(ChatFormat::ArchRouter).await.unwrap();
    assert_eq!((verdict.probabilities, verdict.none), (vec![0.0, 1.0], 0.0));
    let other = Engine::saying(r#"{"route": "other"}"#).await;
    assert_eq!(
        other.verdict(ChatFormat::ArchRouter).await.unwrap().none.to_bits(),
        1.0_f64.to_bits()
    );
    let list = Engine::saying(r#"{"route": ["bug-fixing"]}"#).await;
    let verdict = list.verdict(ChatFormat::PlanoOrchestrator).await.unwrap();
    assert_eq!(verdict.probabilities, [1.0, 0.0]);
}

#[tokio::test]
async fn what_is_not_a_known_name_is_malformed() {
    for said in ["", "tests", r#"{"route": "premium"}"#, r#"{"route": "tests"} "; DROP"#] {
        let fault = Engine::saying(said).await.verdict(ChatFormat::ArchRouter).await.unwrap_err();
        assert!(matches!(fault, Unclassified::Malformed(_)), "{said}: {fault}");
    }
    let endless = Engine::saying(&"x".repeat(1 << 20)).await;
    let fault = endless.verdict(ChatFormat::ArchRouter).await.unwrap_err();
    assert!(matches!(fault, Unclassified::Malformed(_)), "{fault}");
    let strange = Engine::start(answer("200 OK", "{}")).await;
    let fault = strange.verdict(ChatFormat::ArchRouter).await.unwrap_err();
    assert!(matches!(fault, Unclassified::Malformed(_)), "{fault}");
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_late() {
    let silent = Engine::start(String::new()).await;
    let fault = silent.verdict(ChatFormat::ArchRouter).await.unwrap_err();
    assert_eq!(fault, Unclassified::Late);
}

#[tokio::test]
async fn a_dead_engine_is_not_asked_again_at_once() {
    let engine = Engine::start(answer("500 Internal Server Error", "")).await;
    let (chat, tasks) = (engine.router(ChatFormat::ArchRouter, elsewhere()).unwrap(), tasks());
    for _ in 0..8 {
        let conversation = Conversation::from_text("fix this");
        let fault = chat.classify(&conversation, &tasks, None).await.unwrap_err();
        assert!(matches!(fault, Unclassified::Down(_)), "{fault}");
    }
    assert_eq!(engine.asked.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn the_same_question_is_asked_once_and_a_cut_one_each_time() {
    let engine = Engine::saying(r#"{"route": "tests"}"#).await;
    let (chat, tasks) = (engine.router(ChatFormat::ArchRouter, elsewhere()).unwrap(), tasks());
    for text in ["fix this".to_owned(), "x".repeat(9_000)] {
        for _ in 0..3 {
            chat.classify(&Conversation::from_text(&text), &tasks, None).await.unwrap();
        }
    }
    assert_eq!(engine.asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn this_proxy_is_no_engine() {
    let engine = Engine::start(String::new()).await;
    let everywhere = SocketAddr::new("0.0.0.0".parse().unwrap(), engine.address.port());
    for listen in [engine.address, everywhere] {
        assert!(engine.router(ChatFormat::ArchRouter, listen).is_err());
    }
}

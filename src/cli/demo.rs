//! `pointsman demo`: simulated providers, the proxy and the admin listener on loopback, and requests to try.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::PathBuf,
    sync::Arc,
};

use crate::{
    catalog::settings::{LogFormat, LogLevel},
    cli::{Failure, load, print, serve},
    config::{preset, store::Store, watch},
    engine::Engine,
    server::{
        self, Addresses, Setup,
        reload::{Origins, Reload},
    },
    simulator,
    telemetry::{clock, log, metrics::Metrics},
};

/// Runs the command.
pub(super) fn run() -> Result<(), Failure> {
    let mut running = Vec::new();
    for provider in simulator::demo() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        running.push(simulator::start(listener, provider)?);
    }
    let options = load::options(true);
    let model = options.program_folders.iter().map(|folder| folder.join("router-models/default"));
    let model: Option<PathBuf> = model.into_iter().find(|folder| folder.is_dir());
    let model = model.as_deref().and_then(|folder| folder.to_str());
    let ((listen, _listen_held), (admin, _admin_held)) = (preferred(8080), preferred(8081));
    let text = simulator::demo_config(&running, listen, admin, model);
    let store = Store::memory(("demo", &text), &preset::ROUTERS, options, clock::wall().into());
    let loaded = store.load().map_err(|refused| Failure::Configuration(refused.to_string()))?;
    let mut logged = loaded.catalog.settings.log;
    logged.format = LogFormat::Text;
    logged.level = LogLevel::Warn;
    let _flushed_last = log::install(logged)?;
    log::report_panics();
    let runtime = load::runtime()?;
    let origins = Origins::of(&loaded);
    let world = runtime.block_on(load::world(loaded.catalog))?;
    let classifies = world.classifier.is_some();
    let engine = Arc::new(Engine::new(world, Metrics::new()));
    let reload = Arc::new(Reload::new(Arc::clone(&engine), store, origins));
    let (requests, _asked) = watch::requests();
    let setup = Setup { simulated: true, ..serve::setup(reload, requests, false) };
    let served = server::run(setup, move |addresses, _| {
        let routers = engine.world().catalog.routers.len();
        // Whoever started the demo may not read what it says; it serves all the same.
        let _ = print(&greeting(addresses, routers, classifies));
    });
    Ok(runtime.block_on(served)?)
}

/// This port where it is free, else any. Two demos that start at the same moment must not both find it free, so each
/// holds the UDP port of the same number, which is of no other use, for as long as it runs.
fn preferred(port: u16) -> (SocketAddr, Option<UdpSocket>) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    match UdpSocket::bind(address) {
        Ok(hold) if TcpListener::bind(address).is_ok() => (address, Some(hold)),
        Ok(_) | Err(_) => (any, None),
    }
}

fn greeting(addresses: Addresses, routers: usize, classifies: bool) -> String {
    let Addresses { data, admin } = addresses;
    let note = if classifies {
        ""
    } else {
        "\nNo classifier model was found beside the program (`make` puts it there):\n\
         routed requests use the fallback models, reason `unclassified`.\n"
    };
    format!(
        r#"Pointsman demo: {routers} routers in front of SIMULATED providers. No key, no network, no real model.

  data plane   http://{data}
  admin        http://{admin}
  playground   http://{admin}/playground
  dashboard    http://{admin}/
{note}
A request that is matched to a task and answered, as a stream:

curl -sN http://{data}/v1/chat/completions -H 'content-type: application/json' -d '{{"model":"router:software-engineering","stream":true,"messages":[{{"role":"user","content":"This loop never ends, why? while i < 10: print(i)"}}]}}'

Which task, which model (the response headers say):

curl -s -D - -o /dev/null http://{data}/v1/chat/completions -H 'content-type: application/json' -d '{{"model":"router:software-engineering","messages":[{{"role":"user","content":"Write a function that merges two sorted lists"}}]}}'

The decision alone, explained:

curl -s http://{data}/routing/v1/chat/completions -H 'content-type: application/json' -d '{{"model":"router:writing","messages":[{{"role":"user","content":"Translate this paragraph into French"}}]}}'

The Anthropic API, in front of whichever provider fits:

curl -s http://{data}/v1/messages -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' -d '{{"model":"router:general","max_tokens":200,"messages":[{{"role":"user","content":"Summarize the plot of Hamlet in two sentences"}}]}}'

What can be named, and what was counted:

curl -s http://{data}/v1/models
curl -s http://{admin}/metrics

Ctrl-C ends it.
"#
    )
}

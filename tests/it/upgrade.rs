//! L05: SIGQUIT hands the listeners to a new process. Nobody is refused, nothing breaks, and a successor that is not
//! there, or dies on the way, costs nothing.

use std::{
    io::Read as _,
    net::TcpStream,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::support::{
    Gate, Watched,
    client::Client,
    program::{Program, chat},
    reply,
    setup::{Folder, Setup},
    sse, until,
    upstream::{Step, Upstream},
};

const CHAT: &str = "/v1/chat/completions";

/// A folder with room for the socket at which listeners change hands; `setup` names it.
fn with_socket(setup: Setup) -> (Setup, Folder, PathBuf) {
    let folder = Folder::new();
    let socket = folder.path().join("upgrade.sock");
    (setup.with(&format!("upgrade_socket: {}", socket.display())), folder, socket)
}

/// A new process, which takes over from `old` as soon as it waits.
fn successor(setup: &Setup, old: &Program, socket: &Path) -> Program {
    thread::scope(|scope| {
        let started = scope.spawn(|| Program::start_with(setup.write(), setup, &["--upgrade"]));
        until("the new process to wait", || socket.exists().then_some(()));
        old.signal("QUIT");
        started.join().unwrap()
    })
}

/// Callers who ask without end, each time on a new connection; what went wrong for them.
struct Load {
    stop: Gate,
    asked: Arc<AtomicUsize>,
    failed: Arc<Watched<Vec<String>>>,
    callers: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn on(program: &Program) -> Self {
        let address = program.data();
        let (stop, asked) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let failed = Watched::new(Vec::new());
        let callers = (0..4)
            .map(|_| {
                let (stop, asked, failed) = (stop.clone(), Arc::clone(&asked), Arc::clone(&failed));
                thread::spawn(move || {
                    while !stop.is_open() {
                        if let Err(what) = ask(address) {
                            failed.change(|failed| failed.push(what));
                        }
                        asked.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        Self { stop, asked, failed, callers }
    }

    fn goes_on(&self) {
        let before = self.asked.load(Ordering::SeqCst);
        until("more answers", || (self.asked.load(Ordering::SeqCst) > before + 40).then_some(()));
    }

    #[track_caller]
    fn ends_without_failure(self) {
        self.stop.open();
        for caller in self.callers {
            caller.join().unwrap();
        }
        let asked = self.asked.load(Ordering::SeqCst);
        assert_eq!(self.failed.look(Vec::clone), Vec::<String>::new(), "of {asked}");
    }
}

fn ask(address: std::net::SocketAddr) -> Result<(), String> {
    drop(TcpStream::connect(address).map_err(|fault| format!("refused: {fault}"))?);
    let mut client = Client::connect(address, &Watched::new(Vec::new()));
    client.post(CHAT, &[("Connection", "close")], &chat("alpha", "x", false));
    let answer = String::from_utf8(client.closed()).unwrap();
    if answer.starts_with("HTTP/1.1 200 ") && answer.contains("fine") {
        Ok(())
    } else {
        Err(answer)
    }
}

#[test]
fn l05_an_upgrade_refuses_nobody() {
    let upstream = Upstream::always(reply::chat("fine"));
    let (setup, _folder, socket) = with_socket(Setup::one("openai-chat", upstream.address()));
    let mut program = Program::start(&setup);
    let load = Load::on(&program);
    for _ in 0..3 {
        load.goes_on();
        let new = successor(&setup, &program, &socket);
        // The ports were chosen by the first process; they are the same listeners.
        assert_eq!((new.data(), new.admin_address()), (program.data(), program.admin_address()));
        assert!(program.ended().success());
        assert!(!socket.exists());
        program = new;
    }
    load.goes_on();
    load.ends_without_failure();
    assert_eq!(program.chat("alpha").status(), 200);
}

#[test]
fn l05_what_the_old_process_has_begun_it_ends() {
    let gate = Gate::new();
    let rest =
        [Step::Stall(gate.clone()), reply::token("and done"), reply::finish(), reply::done()];
    let steps = [reply::stream_head(), reply::role(), reply::token("begun ")];
    let upstream = Upstream::always([&steps[..], &rest, &reply::end()].concat());
    let other = Upstream::always(reply::chat("fine"));
    let setup = Setup::two(upstream.address(), other.address());
    let (setup, _folder, socket) = with_socket(setup);
    let mut old = Program::start(&setup);
    let mut clients: Vec<_> = (0..20).map(|_| old.client()).collect();
    for client in &mut clients {
        client.post(CHAT, &[], &chat("alpha", "x", true));
    }
    for client in &mut clients {
        client.until("begun ");
    }
    let new = successor(&setup, &old, &socket);
    assert_eq!(new.chat("beta").status(), 200);
    assert_eq!(new.admin("/readyz").status(), 200);
    assert!(old.runs(), "it ended with requests open");
    gate.open();
    for client in &mut clients {
        let answer = client.answer();
        let stream = sse::chat(&answer.text());
        assert_eq!((stream.text.as_str(), stream.done), ("begun and done", true));
        assert!(answer.whole, "the last chunk is missing");
    }
    assert!(old.ended().success());
}

#[test]
fn l05_a_successor_that_dies_on_the_way_costs_nothing() {
    let upstream = Upstream::always(reply::chat("fine"));
    let (setup, _folder, socket) = with_socket(Setup::one("openai-chat", upstream.address()));
    let mut program = Program::start(&setup);
    let load = Load::on(&program);
    let waiting = UnixListener::bind(&socket).unwrap();
    program.signal("QUIT");
    let (mut offer, _) = waiting.accept().unwrap();
    // It has been sent the listeners, and is gone before it serves them.
    assert!(offer.read(&mut [0; 64]).unwrap() > 0);
    drop((offer, waiting));
    std::fs::remove_file(&socket).unwrap();
    program.logged("the new process ended before it served; this process goes on serving");
    load.goes_on();
    assert_eq!(program.admin("/readyz").status(), 200);
    // The next one may take over all the same.
    let new = successor(&setup, &program, &socket);
    assert!(program.ended().success());
    load.goes_on();
    load.ends_without_failure();
    assert_eq!(new.chat("alpha").status(), 200);
}

#[test]
fn l05_an_order_to_hand_over_to_nobody_is_not_followed() {
    let upstream = Upstream::always(reply::chat("fine"));
    let (setup, _folder, socket) = with_socket(Setup::one("openai-chat", upstream.address()));
    let mut program = Program::start(&setup);
    program.signal("QUIT");
    let line = program.logged("nobody waits for the listeners");
    assert!(line.contains(&socket.display().to_string()), "{line}");
    assert_eq!(program.chat("alpha").status(), 200);
    assert!(program.runs());
    program.signal("TERM");
    assert!(program.ended().success());
}

#[test]
fn l05_a_process_that_waits_for_listeners_can_be_stopped() {
    let upstream = Upstream::always(reply::chat("fine"));
    let (setup, _folder, socket) = with_socket(Setup::one("openai-chat", upstream.address()));
    let folder = setup.write();
    let main = folder.main();
    let arguments = ["serve", "--upgrade", "-c", main.to_str().unwrap()];
    let mut waiting = crate::support::program::command(&setup, &arguments).spawn().unwrap();
    until("the new process to wait", || socket.exists().then_some(()));
    let id = waiting.id().to_string();
    assert!(
        std::process::Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success()
    );
    assert!(until("its end", || waiting.try_wait().unwrap()).success());
    assert!(!socket.exists());
}

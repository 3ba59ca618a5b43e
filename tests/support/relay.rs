//! A relay between the program and a provider that breaks what passes through it: every few answers it delays, resets,
//! cuts, stalls, splits or soils what the provider sends. What it does is chosen by chance from a seed.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::upstream::reset_on_close;

/// What can happen to what a provider sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// It comes later.
    Delay,
    /// The connection is reset.
    Reset,
    /// The connection ends.
    Truncate,
    /// Nothing more comes; the connection stays.
    Stall,
    /// It comes byte by byte for a while.
    Split,
    /// Bytes come in between that belong nowhere. No text can hold them, so that they can be told from an answer.
    Garbage,
}

impl Harm {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Delay, Self::Reset, Self::Truncate, Self::Stall, Self::Split, Self::Garbage];
}

/// A relay that runs for as long as the tests do.
pub(crate) struct Relay {
    address: SocketAddr,
    done: Arc<[AtomicU64; 6]>,
}

impl Relay {
    /// A relay before `target`; something happens about once in `gap` bytes of answers.
    pub(crate) fn before(target: SocketAddr, gap: usize, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let done = Arc::new([const { AtomicU64::new(0) }; 6]);
        let counted = Arc::clone(&done);
        thread::spawn(move || {
            let mut dice = fastrand::Rng::with_seed(seed);
            for caller in listener.incoming().map_while(Result::ok) {
                let Ok(provider) = TcpStream::connect(target) else { continue };
                let way =
                    Way { provider, caller, dice: dice.fork(), gap, done: Arc::clone(&counted) };
                way.start();
            }
        });
        Self { address, done }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often each has happened.
    pub(crate) fn done(&self) -> [u64; 6] {
        [0, 1, 2, 3, 4, 5].map(|index| self.done[index].load(Ordering::Relaxed))
    }
}

/// One connection through the relay.
struct Way {
    provider: TcpStream,
    caller: TcpStream,
    dice: fastrand::Rng,
    gap: usize,
    done: Arc<[AtomicU64; 6]>,
}

/// Whether a connection goes on after something happened to it.
#[derive(PartialEq, Eq)]
enum Then {
    GoesOn,
    Ends,
}

impl Way {
    fn start(mut self) {
        let _unset = (self.provider.set_nodelay(true), self.caller.set_nodelay(true));
        let (Ok(mut from), Ok(mut to)) = (self.caller.try_clone(), self.provider.try_clone())
        else {
            return;
        };
        thread::spawn(move || {
            let _ended = std::io::copy(&mut from, &mut to);
            let _gone = to.shutdown(Shutdown::Both);
        });
        thread::spawn(move || {
            self.answers();
            let _gone = self.provider.shutdown(Shutdown::Both);
            let _gone = self.caller.shutdown(Shutdown::Both);
        });
    }

    fn answers(&mut self) {
        let mut buffer = [0; 16 * 1024];
        let mut until_next = self.dice.usize(0..self.gap);
        while let Ok(count @ 1..) = self.provider.read(&mut buffer) {
            let mut rest = &buffer[..count];
            while rest.len() > until_next {
                let (before, after) = rest.split_at(until_next);
                rest = after;
                until_next = self.dice.usize(0..self.gap * 2);
                if self.caller.write_all(before).is_err() || self.harm(&mut rest) == Then::Ends {
                    return;
                }
            }
            until_next -= rest.len();
            if self.caller.write_all(rest).is_err() {
                return;
            }
        }
    }

    fn harm(&mut self, rest: &mut &[u8]) -> Then {
        let index = self.dice.usize(0..Harm::ALL.len());
        self.done[index].fetch_add(1, Ordering::Relaxed);
        match Harm::ALL[index] {
            Harm::Delay => {
                thread::sleep(Duration::from_millis(self.dice.u64(20..600)));
                Then::GoesOn
            }
            Harm::Reset => {
                reset_on_close(&self.caller);
                let _ended = self.caller.shutdown(Shutdown::Read);
                // Both handles of it must go for the reset to be sent; the other thread's goes with its read.
                Then::Ends
            }
            Harm::Truncate => Then::Ends,
            Harm::Stall => {
                thread::sleep(Duration::from_secs(3));
                Then::Ends
            }
            Harm::Split => {
                let (pieces, after) = rest.split_at(rest.len().min(self.dice.usize(1..400)));
                *rest = after;
                let sent = pieces.iter().try_for_each(|byte| self.caller.write_all(&[*byte]));
                if sent.is_ok() { Then::GoesOn } else { Then::Ends }
            }
            Harm::Garbage => {
                let soil: Vec<u8> = (0..self.dice.usize(1..20))
                    .map(|_| *self.dice.choice(&[0, 0xff, 0xc0]).unwrap())
                    .collect();
                if self.caller.write_all(&soil).is_ok() { Then::GoesOn } else { Then::Ends }
            }
        }
    }
}

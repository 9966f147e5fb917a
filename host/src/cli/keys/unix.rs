//! The keyboard of a Unix terminal, key by key.
//!
//! Of the terminal's modes only line editing and echo are turned off: signals go on being made of Ctrl-C, Ctrl-Z and Ctrl-\, and line ends of
//! what is printed. While another program has the terminal (a shell, after Ctrl-Z) it is not touched.

use std::io::Stdin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use miniflow_runtime::clock::real;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, getpgrp};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Keys that wait to be taken: somebody leans on the keyboard.
const KEYS_MAX: usize = 64;

/// While another program has the terminal: how often to look whether it is ours again.
const AWAY: Duration = Duration::from_millis(200);

/// The first byte of what arrow keys and the like send.
const ESCAPE: u8 = 0x1b;

/// How the terminal was, as long as it is changed.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Keys, as they are pressed. The terminal is as it was when this is gone.
pub(in crate::cli) struct Keyboard {
    keys: mpsc::Receiver<u8>,
    signals: JoinHandle<()>,
}

impl Keyboard {
    /// Takes the terminal of standard input. None when it cannot be had: another program has it, for example.
    pub(in crate::cli) fn take() -> Option<Self> {
        let stdin = std::io::stdin();
        if !is_ours(&stdin) {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        change(&stdin, &before).ok()?;
        *lock() = Some(before);
        let (sender, keys) = mpsc::channel(KEYS_MAX);
        let keyboard = Self { keys, signals: tokio::spawn(mind_signals()) };
        // It ends with the process: nothing wakes it before another key.
        let reading = std::thread::Builder::new().name("miniflow-keys".into()).spawn(move || read(&stdin, &sender));
        // Otherwise what was taken is given back.
        reading.is_ok().then_some(keyboard)
    }

    /// Returns the next key; none when there will be no more. Cancel-safe.
    pub(super) async fn pressed(&mut self) -> Option<u8> {
        self.keys.recv().await
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.signals.abort();
        restore();
    }
}

/// Leaves the terminal as it was. To be called before the process ends in any other way than by returning.
pub(in crate::cli) fn restore() {
    let stdin = std::io::stdin();
    if let Some(before) = lock().take()
        && is_ours(&stdin)
    {
        // A terminal that has gone needs nothing.
        let _ = tcsetattr(&stdin, OptionalActions::Now, &before);
    }
}

fn change(stdin: &Stdin, before: &Termios) -> Result<(), Errno> {
    let mut modes = before.clone();
    modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(stdin, OptionalActions::Now, &modes)
}

/// Whether this program may use the terminal now: a program in the background that does is stopped by the system. One that is not of the
/// terminal's session is never in the background.
fn is_ours(stdin: &Stdin) -> bool {
    tcgetpgrp(stdin).map_or(true, |group| group == getpgrp())
}

fn read(stdin: &Stdin, keys: &mpsc::Sender<u8>) {
    let mut buffer = [0; 64];
    while !keys.is_closed() {
        match poll(&mut [PollFd::new(stdin, PollFlags::IN)], None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        if !is_ours(stdin) {
            std::thread::sleep(AWAY);
            continue;
        }
        match rustix::io::read(stdin, &mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                for key in letters(&buffer[..count]) {
                    if keys.blocking_send(key).is_err() {
                        return;
                    }
                }
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}

/// What was typed without what arrow keys and the like send, which has letters in it.
fn letters(typed: &[u8]) -> Vec<u8> {
    let mut letters = Vec::new();
    let mut rest = typed.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            // `ESC [ parameters final`, `ESC O final`, or a key with Alt.
            ESCAPE => match rest.next() {
                Some(b'[') => drop(rest.find(|byte| (0x40..=0x7e).contains(byte))),
                Some(b'O') => drop(rest.next()),
                _ => {}
            },
            byte => letters.push(byte),
        }
    }
    letters
}

/// Whoever comes back from the background finds the terminal as the shell has it; and Ctrl-\ ends the process without a word.
async fn mind_signals() {
    let kind = |signal: Signal| SignalKind::from_raw(signal.as_raw());
    let (Ok(mut back), Ok(mut quit)) = (signal(kind(Signal::CONT)), signal(kind(Signal::QUIT))) else { return };
    loop {
        tokio::select! {
            _ = back.recv() => {
                // The shell gives the terminal back before or after it says so.
                for _ in 0..5 {
                    let stdin = std::io::stdin();
                    if let (Some(before), true) = (&*lock(), is_ours(&stdin)) {
                        let _ = change(&stdin, before);
                        break;
                    }
                    real::sleep(AWAY).await;
                }
            }
            _ = quit.recv() => {
                restore();
                #[expect(clippy::exit, reason = "what the signal would have done; what is committed is safe")]
                std::process::exit(131);
            }
        }
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn arrow_keys_are_no_letters() {
        let seen = |typed: &str| String::from_utf8(letters(typed.as_bytes())).unwrap();
        assert_eq!(seen("qi"), "qi");
        assert_eq!(seen("\x1b[Ai\x1b[1;5Cn\x1bOQr\x1bbc\x1b"), "inrc");
    }
}

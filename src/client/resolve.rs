//! Looking names up within a time.
//!
//! The system's own look-up cannot be given one: it blocks for as long as the name servers' timeouts add up to. So it runs
//! on a thread that all requests share, which ends when nothing has been looked up for a while.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, ToSocketAddrs},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use crate::wire::socket::left;

/// How long the thread waits for another name.
const IDLE: Duration = Duration::from_secs(1);

type Answer = io::Result<Vec<IpAddr>>;
type Job = (String, SyncSender<Answer>);

/// The way to the thread, where there is one.
static JOBS: Mutex<Option<Sender<Job>>> = Mutex::new(None);

/// The addresses of a host, of which there is one at least.
pub(super) fn resolve(host: &str, deadline: Instant) -> Answer {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    loop {
        let (reply, answer) = mpsc::sync_channel(1);
        submit((host.to_owned(), reply))?;
        match answer.recv_timeout(left(deadline)?) {
            Ok(answer) => return answer,
            // It ended just then.
            Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => {
                // The next name shall not wait for this one: it gets another thread, and this one ends with its look-up.
                *JOBS.lock().unwrap_or_else(PoisonError::into_inner) = None;
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

fn submit(job: Job) -> io::Result<()> {
    let mut jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
    let job = match &*jobs {
        None => job,
        Some(thread) => match thread.send(job) {
            Ok(()) => return Ok(()),
            Err(mpsc::SendError(job)) => job,
        },
    };
    let (sender, queue) = mpsc::channel();
    let resolver = thread::Builder::new().name("resolver".into());
    resolver.spawn(move || work(queue))?;
    // The thread takes whatever is there.
    let _ = sender.send(job);
    *jobs = Some(sender);
    Ok(())
}

fn work(queue: Receiver<Job>) {
    while let Ok((host, reply)) = queue.recv_timeout(IDLE) {
        let found = (host.as_str(), 0).to_socket_addrs();
        let addresses = found.map(|found| found.map(|address| address.ip()).collect());
        // Whoever asked may have waited long enough.
        let _ = reply.send(addresses);
    }
}

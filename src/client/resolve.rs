//! Name resolution with a deadline.
//!
//! The system's resolver has no deadline: it can block for the sum of the name servers' timeouts. Therefore it runs on a thread
//! that all requests share and that ends when it has been idle for a while.

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

/// How long the idle thread waits for another name.
const IDLE: Duration = Duration::from_secs(1);

type Answer = io::Result<Vec<IpAddr>>;
type Job = (String, SyncSender<Answer>);

/// The queue of the thread, if the thread is running.
static JOBS: Mutex<Option<Sender<Job>>> = Mutex::new(None);

/// Resolves a host to its addresses.
pub(super) fn resolve(host: &str, deadline: Instant) -> Answer {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    loop {
        let (reply, answer) = mpsc::sync_channel(1);
        submit((host.to_owned(), reply))?;
        match answer.recv_timeout(left(deadline)?) {
            Ok(answer) => return answer,
            // The thread has just ended: start another.
            Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => {
                // The next name must not wait for this one, so it gets another thread. The current thread ends after its lookup.
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
    // The thread has just started, so the send cannot fail.
    let _ = sender.send(job);
    *jobs = Some(sender);
    Ok(())
}

fn work(queue: Receiver<Job>) {
    while let Ok((host, reply)) = queue.recv_timeout(IDLE) {
        let found = (host.as_str(), 0).to_socket_addrs();
        let addresses = found.map(|found| found.map(|address| address.ip()).collect());
        // The request may have timed out.
        let _ = reply.send(addresses);
    }
}

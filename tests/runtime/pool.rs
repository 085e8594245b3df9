//! A Runtime API that serves every connection at once.

use std::{
    io::{BufReader, Write},
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use crate::runtime_api::{Received, read_body, read_head};

/// Its address, and all that came in so far. `answer` may wait, as long as the others need not.
pub fn start(
    answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<Received>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen: Arc<Mutex<Vec<Received>>> = Arc::default();
    let log = Arc::clone(&seen);
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for (connection, stream) in listener.incoming().enumerate() {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.unwrap());
                let (pieces, _) = mpsc::channel();
                while let Some(mut request) = read_head(&mut reader, connection) {
                    read_body(&mut reader, &mut request, &pieces).unwrap();
                    log.lock().unwrap().push(request.clone());
                    let _ = reader.get_mut().write_all(&answer(&request));
                }
            });
        }
    });
    (address, seen)
}

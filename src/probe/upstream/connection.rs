//! One connection that the proxy under probe opened.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::super::Ending;
use super::super::request::{self, Asked};
use super::super::response::{Body, LARGEST_BODY};
use super::{Close, Event, Id};

/// Largest request head.
const LARGEST_HEAD: usize = 64 * 1024;
/// The body of each response.
const BODY: &str = "finrace probes the proxy in front of it\n";

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Answer it with 200, and keep the connection.
    Answer,
    /// Close without an answer, as in the race.
    Close(Close),
}

/// Why a connection brings no further request.
enum End {
    /// The proxy ended it, between two requests or within one.
    Closed { ending: Ending, idle: bool },
    /// No HTTP/1.
    Unreadable(String),
}

/// Serves one connection until it ends. Never closes an idle one.
pub(super) async fn serve(mut stream: TcpStream, id: Id, events: mpsc::Sender<Event>) {
    let mut buffer = Vec::new();
    loop {
        let asked = match next_request(&mut stream, &mut buffer).await {
            Ok(asked) => asked,
            Err(End::Closed { ending, idle }) => {
                // Nobody is left to tell once the probe is over; so below.
                let _ = events.send(Event::Closed { id, ending, idle, at: Instant::now() }).await;
                return;
            }
            Err(End::Unreadable(why)) => {
                let refused =
                    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".as_slice();
                let _ = stream.write_all(refused).await;
                let _ = events.send(Event::Unreadable { id, why }).await;
                return;
            }
        };
        let (reply, action) = oneshot::channel();
        let response = response(&asked);
        let kept = asked.persistent;
        if events.send(Event::Request { id, asked, at: Instant::now(), reply }).await.is_err() {
            return;
        }
        match action.await {
            Ok(Action::Answer) => {
                let answered = stream.write_all(response.as_bytes()).await.is_ok();
                let at = Instant::now();
                let told = if answered && kept { Event::Answered { id, at } } else { Event::Parted { id } };
                if events.send(told).await.is_err() || !answered || !kept {
                    return;
                }
            }
            Ok(Action::Close(Close::Fin)) => return,
            Ok(Action::Close(Close::Reset)) => {
                // Where the option cannot be set the connection is already gone, and so is what it was for.
                let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                return;
            }
            Err(_) => return,
        }
    }
}

/// Reads a whole request; its body is passed over.
async fn next_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Asked, End> {
    let (asked, length, mut body) = loop {
        match request::head(buffer) {
            Ok(Some(head)) => break head,
            Ok(None) if buffer.len() > LARGEST_HEAD => {
                return Err(End::Unreadable("its head is larger than 64 KiB".to_owned()));
            }
            Ok(None) => more(stream, buffer).await?,
            Err(why) => return Err(End::Unreadable(why)),
        }
    };
    buffer.drain(..length);
    if asked.expects_continue {
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    let mut read = 0;
    loop {
        read += buffer.len() as u64;
        let ended = match &mut body {
            Body::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                buffer.drain(..here);
                *left -= here as u64;
                *left == 0
            }
            // Nothing may follow a chunked body before its response: proxies do not pipeline.
            Body::Chunked(chunks) => {
                let ended = chunks.ends_in(buffer).map_err(End::Unreadable)?;
                buffer.clear();
                ended
            }
            Body::UntilClose => true,
        };
        if ended {
            return Ok(asked);
        }
        if read > LARGEST_BODY {
            return Err(End::Unreadable(format!("its body is larger than {} MiB", LARGEST_BODY >> 20)));
        }
        match more(stream, buffer).await {
            Err(End::Closed { ending, .. }) => return Err(End::Closed { ending, idle: false }),
            other => other?,
        }
    }
}

/// At least one byte more.
async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), End> {
    let idle = buffer.is_empty();
    let read: io::Result<usize> = stream.read_buf(buffer).await;
    match read {
        Ok(0) => Err(End::Closed { ending: Ending::Fin, idle }),
        Ok(_) => Ok(()),
        Err(_) => Err(End::Closed { ending: Ending::Reset, idle }),
    }
}

/// The answer: not to be cached, so that each request of a client comes through.
fn response(asked: &Asked) -> String {
    let connection = match (asked.persistent, asked.is_old) {
        (false, _) => "Connection: close\r\n",
        (true, true) => "Connection: keep-alive\r\n",
        (true, false) => "",
    };
    let body = if asked.method == "HEAD" { "" } else { BODY };
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\nContent-Length: {}\r\n{connection}\r\n{body}",
        BODY.len()
    )
}

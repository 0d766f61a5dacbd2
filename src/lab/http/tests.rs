//! Messages as they come over loopback.

use super::*;
use tokio::net::TcpListener;

/// Both ends of a connection on loopback.
async fn pair() -> (TcpStream, HttpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, HttpStream::new(listener.accept().await.unwrap().0).unwrap())
}

/// What is read when these bytes arrive and the sender then closes.
async fn request(bytes: &str) -> Result<Request, HttpError> {
    let (mut client, mut server) = pair().await;
    client.write_all(bytes.as_bytes()).await.unwrap();
    drop(client);
    server.read_request().await
}

async fn response(bytes: &str, method: &str) -> Result<Response, HttpError> {
    let (mut server, mut client) = pair().await;
    server.write_all(bytes.as_bytes()).await.unwrap();
    drop(server);
    client.read_response(method).await
}

#[tokio::test]
async fn a_chunked_body_with_trailers_is_read_and_framed_anew() {
    let text = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-Hop: 1\r\nConnection: x-hop\r\n\r\n\
                3\r\nabc\r\n2;note=1\r\nde\r\n0\r\nTrailer: 1\r\n\r\n";
    let request = request(text).await.unwrap();
    assert_eq!(request.body, b"abcde");
    let sent = String::from_utf8(request.encode()).unwrap();
    assert_eq!(sent, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde");
}

#[tokio::test]
async fn two_requests_in_one_segment_are_read_one_after_the_other() {
    let (mut client, mut server) = pair().await;
    client.write_all(b"POST /1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab").await.unwrap();
    client.write_all(b"GET /2 HTTP/1.0\r\n\r\n").await.unwrap();
    let first = server.read_request().await.unwrap();
    assert_eq!(
        (first.target.as_str(), first.keep_alive, first.body.as_slice()),
        ("/1", true, b"ab".as_slice())
    );
    let second = server.read_request().await.unwrap();
    assert_eq!((second.target.as_str(), second.keep_alive), ("/2", false), "HTTP/1.0 closes unless asked");
}

#[tokio::test]
async fn an_end_is_told_from_a_cut() {
    assert!(matches!(request("").await, Err(HttpError::Closed)));
    assert!(matches!(request("POST / HTTP/1.1\r\nHo").await, Err(HttpError::CutOff)));
    assert!(matches!(
        request("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc").await,
        Err(HttpError::CutOff)
    ));
    assert!(matches!(
        response("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "GET").await,
        Err(HttpError::CutOff)
    ));
}

#[tokio::test]
async fn requests_that_could_be_smuggled_are_refused() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: +3",
        "Transfer-Encoding: gzip",
    ] {
        let refused = request(&format!("POST / HTTP/1.1\r\n{fields}\r\n\r\nabc")).await;
        assert!(matches!(refused, Err(HttpError::Malformed(_))), "{fields}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_held() {
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(HEAD_AT_MOST + 1));
    assert!(matches!(request(&endless).await, Err(HttpError::TooLarge(HEAD_AT_MOST))));
    let huge = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n";
    assert!(matches!(request(huge).await, Err(HttpError::TooLarge(BODY_AT_MOST))));
}

#[tokio::test]
async fn a_response_without_length_lasts_until_the_close_and_ends_the_connection() {
    let response = response("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc", "GET").await.unwrap();
    assert_eq!(
        (response.code, response.body.as_slice(), response.keep_alive),
        (200, b"abc".as_slice(), false)
    );
}

#[tokio::test]
async fn a_head_response_has_no_body_whatever_its_length_says() {
    let response = response("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD").await.unwrap();
    assert_eq!((response.body.len(), response.keep_alive), (0, true));
}

#[tokio::test]
async fn a_reset_is_told_from_an_end() {
    let (client, mut server) = pair().await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert!(server.read_request().await.unwrap_err().is_reset());
}

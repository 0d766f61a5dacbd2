//! Listening sockets of the toys.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// A toy could not listen.
#[derive(Debug, thiserror::Error)]
#[error(
    "the toy {toy} cannot listen on {address}; end the program that does, or change [{toy}] port in the scenario"
)]
pub struct BindError {
    toy: &'static str,
    address: SocketAddr,
    source: io::Error,
}

/// One listener for each address, and where they really listen (port 0 becomes a free port).
pub(super) async fn listen(
    toy: &'static str,
    addresses: &[SocketAddr],
) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), BindError> {
    let mut listeners = Vec::new();
    let mut bound = Vec::new();
    for &address in addresses {
        let problem = |source| BindError { toy, address, source };
        let listener = TcpListener::bind(address).await.map_err(problem)?;
        bound.push(listener.local_addr().map_err(problem)?);
        listeners.push(listener);
    }
    Ok((listeners, bound))
}

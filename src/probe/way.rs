//! The way to a server: TCP, and TLS upon it where its URL says so.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ProtocolVersion, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ProbeError;

/// How long to wait for a handshake, of TCP or of TLS, if the deadline is not sooner.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// An address, and what is needed to speak TLS there.
#[derive(Clone)]
pub(super) struct Way {
    pub address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Way {
    /// Without TLS.
    pub fn plain(address: SocketAddr) -> Way {
        Way { address, tls: None }
    }

    /// With TLS 1.2 or 1.3, which offers HTTP/1.1 alone.
    ///
    /// # Errors
    /// The host has no name that TLS can send, or the cryptography cannot be had.
    pub fn tls(address: SocketAddr, host: &str) -> Result<Way, ProbeError> {
        let failed = |error: String| ProbeError::Tls(address, io::Error::other(error));
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| failed(error.to_string()))?;
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?;
        let mut config = config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Way { address, tls: Some((TlsConnector::from(Arc::new(config)), name)) })
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there, or the handshake fails.
    pub async fn open(&self, deadline: Instant) -> Result<Wire, ProbeError> {
        let connected = in_time(deadline, TcpStream::connect(self.address)).await;
        let connected = connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        let stream = connected.map_err(|error| ProbeError::Connect(self.address, error))?;
        let Some((connector, name)) = &self.tls else { return Ok(Wire::Plain(stream)) };
        let shaken = in_time(deadline, connector.connect(name.clone(), stream)).await;
        Ok(Wire::Tls(Box::new(shaken.map_err(|error| ProbeError::Tls(self.address, error))?)))
    }
}

/// A handshake, within its time.
async fn in_time<T>(deadline: Instant, handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let until = deadline.min(Instant::now() + HANDSHAKE);
    timeout_at(until, handshake).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A connection: bytes of HTTP go in and come out.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What the end of reading was.
pub(super) enum ReadEnd {
    /// FIN, and nothing of TLS before it.
    Fin,
    /// The close_notify of TLS (RFC 8446 section 6.1).
    CloseNotify,
    /// RST.
    Reset,
}

impl Wire {
    /// Sends.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.write_all(bytes).await,
            Wire::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// At least one byte more.
    ///
    /// # Errors
    /// There is none: how the server ended it, and the error if there was one.
    pub async fn receive(&mut self, buffer: &mut Vec<u8>) -> Result<(), (ReadEnd, Option<io::Error>)> {
        let (read, at_end) = match self {
            Wire::Plain(stream) => (stream.read_buf(buffer).await, ReadEnd::Fin),
            Wire::Tls(stream) => (stream.read_buf(buffer).await, ReadEnd::CloseNotify),
        };
        match read {
            Ok(0) => Err((at_end, None)),
            Ok(_) => Ok(()),
            // What rustls says of a FIN without a close_notify.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err((ReadEnd::Fin, None)),
            // A fatal alert is a goodbye, too.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err((ReadEnd::CloseNotify, Some(error)))
            }
            Err(error) => Err((ReadEnd::Reset, Some(error))),
        }
    }

    /// The TCP connection below.
    pub fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => stream.get_mut().0,
        }
    }

    /// `TLS 1.3`, where it is spoken.
    pub fn tls_version(&self) -> Option<String> {
        let Wire::Tls(stream) = self else { return None };
        Some(match stream.get_ref().1.protocol_version()? {
            ProtocolVersion::TLSv1_3 => "TLS 1.3".to_owned(),
            ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
            other => format!("{other:?}"),
        })
    }
}

/// Takes every certificate: a probe sends no secret, and a test system's own certificate must not keep it from measuring.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

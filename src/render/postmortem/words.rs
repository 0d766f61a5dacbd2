//! What each kind of loss means, for a reader who was not there and does not know TCP, and why each packet matters.

use crate::render::units::{count, counted};
use crate::report::{Cause, Incident, PathLoss, Role};

/// Incidents that have one explanation and one cure: the same cause, on its own terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The cause.
    pub cause: Cause,
    /// What is at its root.
    pub root: Root,
}

/// What brings a loss about, where one cause can have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// Two idle timers in the wrong order.
    Timers,
    /// A timer for connections that have carried no request yet.
    Unused,
    /// The server closed although no idle time had passed, and had not said so.
    Unannounced,
    /// Something on the path refused the request or cut the connection, and no silence had to do with it.
    Refused,
    /// A restart closed all connections at once.
    Restart,
    /// What the cause itself names.
    Cause,
}

impl Kind {
    /// The kind of an incident.
    pub fn of(incident: &Incident) -> Kind {
        let cause = incident.cause;
        let at_a_close = cause.is_race() || cause == Cause::StaleReuse || cause == Cause::ResetIdle;
        let root = match () {
            () if matches!(incident.path_loss, Some(PathLoss::Refused | PathLoss::Cut)) => Root::Refused,
            () if !at_a_close => Root::Cause,
            // A form of the race that is none: no timer closed (see `Incident::race`).
            () if cause.is_race() && !incident.race => Root::Restart,
            () if cause == Cause::StaleReuse && !incident.race => Root::Cause,
            () if incident.first_request && incident.idle_ns.is_none() => Root::Unused,
            () if incident.idle_ns.is_none() && incident.requests_before > 0 => Root::Unannounced,
            () => Root::Timers,
        };
        Kind { cause, root }
    }

    /// Whether two idle timers decide.
    pub fn is_of_timers(self) -> bool {
        self.root == Root::Timers
    }

    /// Whether the time before the request has to do with it.
    pub fn is_of_silence(self) -> bool {
        !matches!(self.root, Root::Cause | Root::Refused)
            || self.root != Root::Refused
                && matches!(
                    self.cause,
                    Cause::StaleReuse | Cause::StateLost | Cause::SilentDrop | Cause::UnsolicitedResponse
                )
    }

    /// Whether it hit an attempt to connect, and no request.
    pub fn is_of_connecting(self) -> bool {
        matches!(self.cause, Cause::Refused | Cause::ConnectTimeout)
    }

    /// How many of what: `1 request`, `3 attempts to connect`.
    pub fn counted(self, number: u64) -> String {
        match (self.is_of_connecting(), number) {
            (false, _) => counted(number, "request"),
            (true, 1) => "1 attempt to connect".to_owned(),
            (true, _) => format!("{} attempts to connect", count(number)),
        }
    }

    /// The heading of the root cause, behind the token.
    pub fn heading(self) -> &'static str {
        match (self.cause, self.root) {
            (_, Root::Restart) => "the server was restarted while the request was on its way",
            (_, Root::Unused) => "the server closed a connection that had never carried a request",
            (_, Root::Unannounced) => "the server closed right after a response, without having said so",
            (Cause::CrossedFin, _) => "the request and the server's close passed each other on the way",
            (Cause::UnreadRequest, _) => "the server closed just as the request arrived, and did not read it",
            (Cause::DiscardedRequest, _) => "the server had closed its half, and threw the request away",
            (Cause::StaleReuse, Root::Timers) => {
                "the request was sent in the moment before the close was noticed"
            }
            (Cause::StaleReuse, _) => "the client used a connection that it had been told was closed",
            (Cause::ResetIdle, _) => "the server broke off an idle connection as a request was sent",
            (_, Root::Refused) => "something on the way refused the request or cut the connection",
            (Cause::StateLost, _) => "after a silence, nobody at the other end knew the connection any more",
            (Cause::SilentDrop, _) => "the request was sent again and again, and nothing came back",
            (Cause::DiedMidRequest, _) => "the server took the request and closed without an answer",
            (Cause::TruncatedResponse, _) => "the server closed in the middle of its answer",
            (Cause::ResponseReset, _) => {
                "the server answered, and a reset behind the answer may have erased it"
            }
            (Cause::ProxyTimeout, _) => "the client gave up waiting",
            (Cause::ClientAbort, _) => "the client went away before the answer was complete",
            (Cause::Refused, _) => "nothing listened at the server's port",
            (Cause::ConnectTimeout, _) => "the attempt to connect was never answered",
            (Cause::UnsolicitedResponse, _) => {
                "the server said something that nobody had asked for, and closed"
            }
            (Cause::Goaway, _) => "the server had announced that it takes no more requests",
            (Cause::Unknown, _) => "no rule explains why no answer came",
        }
    }

    /// What went on, for somebody who does not know TCP.
    pub fn background(self) -> &'static str {
        match (self.cause, self.root) {
            (_, Root::Restart) => {
                "The server closed many connections at one moment, whatever their idle time: that is a restart or a \
                 deploy, not a timer. Requests that were on their way at this moment reached a program that was gone. It \
                 comes back with every restart that does not first wait for its connections to end."
            }
            (_, Root::Unused) => {
                "The client opened a connection in advance and did not use it at once. The server limits how long it \
                 waits for the first request of a connection, and closed it. The first request was on its way at that \
                 moment, and met a connection that no longer existed. The server's application never saw it, so its log \
                 shows nothing."
            }
            (_, Root::Unannounced) => {
                "The server closed the connection right after an answer, without the header (`Connection: close`) that \
                 says so. The client took the connection for usable, and its next request met the close. Which limit made \
                 the server close (requests on a connection, its age) is for the server's configuration to tell."
            }
            (Cause::CrossedFin, _) => {
                "A client (often a load balancer or reverse proxy) keeps connections to a server open and uses them \
                 again. The server closes a connection that has been quiet for too long. When the client sends a request \
                 at that very moment, request and close pass each other on the way: the request arrives where nobody \
                 listens any more. The server's application never sees it, so its log shows nothing. Neither side did \
                 anything wrong by what it knew: two timeouts stand in the wrong order."
            }
            (Cause::UnreadRequest, _) => {
                "A client (often a load balancer or reverse proxy) keeps connections to a server open and uses them \
                 again. The server closes a connection that has been quiet for too long. Here the request arrived in \
                 the moment between the server's decision and the close: its operating system had taken the request, \
                 the server's program never read it. Two timeouts stand in the wrong order."
            }
            (Cause::DiscardedRequest, _) => {
                "A client (often a load balancer or reverse proxy) keeps connections to a server open and uses them \
                 again. The server closes a connection that has been quiet for too long, politely: it says that it \
                 sends nothing more, and waits a little for the client to close, too. A request that arrives in this \
                 time is received and thrown away. No error packet (RST) is sent, so most searches miss it. Two timeouts \
                 stand in the wrong order."
            }
            (Cause::StaleReuse, Root::Timers) => {
                "The server closed a connection that had been quiet for too long. The close had reached the client's \
                 machine a moment before the request was sent: too short a time for the client's program to notice. Two \
                 timeouts stand in the wrong order."
            }
            (Cause::StaleReuse, _) => {
                "The server had closed the connection and had said so, and the client's machine had acknowledged it. The \
                 client's program sent a request on it all the same. No timing makes that right: a pool of connections \
                 must look at a connection before it is used again."
            }
            (Cause::ResetIdle, _) => {
                "The server ended an idle connection by a reset instead of an orderly close, as a request was on its \
                 way or about to be sent. The request was lost; the server's application never saw it."
            }
            (_, Root::Refused) => {
                "The connection was new or in use, so nothing can have forgotten it. The request met a reset all the same: \
                 something between client and server (a firewall, a load balancer, an intrusion prevention system) rejected \
                 it, or the server's host had just lost the connection in a restart or a failover."
            }
            (Cause::StateLost, _) => {
                "Devices between client and server (NAT gateways, firewalls, load balancers that forward packets) keep a \
                 table of connections and forget those that are silent for too long. Nobody tells the two ends. The next \
                 request then meets somebody who does not know the connection. A server that was restarted in the \
                 meantime answers in the same way."
            }
            (Cause::SilentDrop, _) => {
                "The client sent the request several times, with growing pauses, and no packet came back: neither an \
                 answer nor an acknowledgement nor an error. Something on the way threw the packets away without a word, \
                 or the server's machine was gone."
            }
            (Cause::DiedMidRequest, _) => {
                "The server's machine acknowledged the request. Later the server closed the connection, and not one byte \
                 of an answer had been sent. A crash, a killed worker or a limit of the server's own does that. The work \
                 may have been done. Idle timeouts have nothing to do with it."
            }
            (Cause::TruncatedResponse, _) => {
                "The answer began and ended before it was complete. A crash, a killed worker or a timeout in the middle \
                 of the answer does that. Idle timeouts have nothing to do with it."
            }
            (Cause::ResponseReset, _) => {
                "The server sent its whole answer and then a reset, as programs do that close without having read the \
                 whole request. The reset can overtake the answer inside of the client's machine: then the client's \
                 program never reads what had arrived."
            }
            (Cause::ProxyTimeout, _) => {
                "The client waited for an answer, had its own limit for that, and closed. The server may have been slow, \
                 or stuck. Idle timeouts have nothing to do with it."
            }
            (Cause::ClientAbort, _) => {
                "The client closed while the answer was still on its way or being made: somebody closed a page, or a \
                 limit of the client's was reached. The server did nothing wrong."
            }
            (Cause::Refused, _) => {
                "The server's machine answered the attempt to connect with a refusal: no program was listening at this \
                 port at this time."
            }
            (Cause::ConnectTimeout, _) => {
                "The client tried to connect several times and no packet came back: the machine was gone, a firewall \
                 threw the packets away, or the server's queue of new connections was full."
            }
            (Cause::UnsolicitedResponse, _) => {
                "Some servers say goodbye on an idle connection with a complete answer (`408 Request Timeout`) and close. \
                 A request that crosses it is lost; worse, the client may take the goodbye for its answer."
            }
            (Cause::Goaway, _) => {
                "On HTTP/2, a server that is about to close names the last request that it still takes (GOAWAY). This \
                 request was a later one: by the protocol it was not processed, and the client may send it again."
            }
            (Cause::Unknown, _) => {
                "The request got no answer, and nothing in the capture fits a known reason. finrace does not guess."
            }
        }
    }

    /// Who can end it.
    pub fn owner(self) -> &'static str {
        match (self.cause, self.root) {
            (_, Root::Restart) => "whoever deploys and restarts the server",
            (_, Root::Timers | Root::Unused) => {
                "whoever sets the idle timeouts of client and server; the application is not at fault"
            }
            (_, Root::Unannounced) => "whoever configures the server's limits on connections",
            (Cause::StaleReuse, _) => "whoever maintains the client's connection pool",
            (Cause::StateLost | Cause::SilentDrop, _) => {
                "whoever runs the devices between the two, or the client that keeps connections longer than they do"
            }
            (Cause::DiedMidRequest | Cause::TruncatedResponse, _) => {
                "whoever runs the server's application, or restarts its workers"
            }
            (Cause::ResponseReset | Cause::UnsolicitedResponse, _) => "whoever maintains the server",
            (Cause::ProxyTimeout, _) => {
                "whoever knows why the server took so long, or set the client's limit below that"
            }
            (Cause::ClientAbort, _) => "nobody, unless the answer was too slow for its reader",
            (Cause::Refused | Cause::ConnectTimeout, _) => {
                "whoever runs the server's host and the network before it"
            }
            (Cause::Goaway, _) => "whoever maintains the client: it has to send such a request again",
            (Cause::CrossedFin | Cause::UnreadRequest | Cause::DiscardedRequest | Cause::ResetIdle, _) => {
                "whoever runs the server"
            }
            (Cause::Unknown, _) => "not known yet",
        }
    }

    /// Why a packet matters to the verdict; empty for a role that proves nothing here.
    pub fn why(self, role: Role, incident: &Incident) -> &'static str {
        use Cause::{CrossedFin, DiedMidRequest, DiscardedRequest, ResetIdle, StaleReuse, TruncatedResponse};
        match (role, self.cause) {
            (Role::Syn, Cause::Refused | Cause::ConnectTimeout) => "The attempt to connect.",
            (Role::Syn, _) => "The connection begins.",
            (Role::PreviousResponse, _) => "The last answer on this connection: from here on it is idle.",
            (Role::Fin, DiedMidRequest) => "The server closes, and has not sent a byte of an answer.",
            (Role::Fin, TruncatedResponse) => "The server closes before its answer is complete.",
            (Role::Fin, _) if self.root == Root::Restart => {
                "The server closes, in the same moment as its other connections."
            }
            (Role::Fin, _) => "The server closes. Until this packet arrives, the client cannot know.",
            (Role::Request, _) if incident.ack_covers_fin == Some(false) => {
                "The lost request. Its acknowledgement number does not cover the FIN: when it was sent, the FIN had not \
                 arrived."
            }
            (Role::Request, StaleReuse) if incident.ack_covers_fin == Some(true) => {
                "The lost request. Its acknowledgement number covers the FIN: the sender's machine already had it."
            }
            (Role::Request, Cause::SilentDrop) => "The request, sent again and again afterwards.",
            (Role::Request, Cause::ClientAbort | Cause::ProxyTimeout) => {
                "The request that the client gave up."
            }
            (Role::Request, _) => "The request that got no answer.",
            (Role::RequestAck, DiscardedRequest) => {
                "The server's machine received the request; nobody reads it any more."
            }
            (Role::RequestAck, Cause::UnreadRequest) => {
                "The server's machine received the request; its program has not read it."
            }
            (Role::RequestAck, _) => "The server's machine received the request.",
            (Role::FinAck, CrossedFin) => "Only now has the client's machine received the close.",
            (Role::FinAck, StaleReuse) => {
                "The client's machine knows of the close before the request is sent."
            }
            (Role::FinAck, _) => "The client's machine has received the close.",
            (Role::Response, _) => "The first byte of the answer.",
            (Role::Reset, CrossedFin | StaleReuse) => {
                "An operating system answers so for a connection that it no longer has: the application never saw the \
                 request."
            }
            (Role::Reset, Cause::UnreadRequest) => {
                "A reset in the middle of the connection's numbers: a program closed with the request unread."
            }
            (Role::Reset, Cause::StateLost) => "Whoever answers does not know this connection.",
            (Role::Reset, ResetIdle) => "The server breaks the connection off.",
            (Role::Reset, Cause::Refused) => "No program listens at this port.",
            (Role::Reset, Cause::ResponseReset) => "It can erase the answer on its arrival.",
            (Role::Reset, _) => "The connection is broken off.",
            (Role::Goaway, _) => "The server names the last request that it takes.",
            (Role::ClientFin, Cause::ProxyTimeout | Cause::ClientAbort) => "The client closes first.",
            (Role::ClientFin, _) => "The client closes its side.",
            (Role::ClientReset, _) => "The client breaks the connection off.",
        }
    }
}

/// What finrace looks for, by cause, for a capture in which nothing was lost.
pub const fn looked_for(cause: Cause) -> &'static str {
    match cause {
        Cause::CrossedFin => "requests that crossed the server's close on the way",
        Cause::UnreadRequest => "requests that a closing server did not read",
        Cause::DiscardedRequest => "requests that a half-closed server received and threw away",
        Cause::StaleReuse => "requests on connections that were known to be closed",
        Cause::ResetIdle => "resets of idle connections that a request met",
        Cause::StateLost => "requests that met a device or server that had forgotten the connection",
        Cause::SilentDrop => "requests that nobody ever acknowledged",
        Cause::DiedMidRequest => "requests that were received and never answered",
        Cause::TruncatedResponse => "answers that broke off",
        Cause::ResponseReset => "answers that a reset may have erased",
        Cause::ProxyTimeout => "requests that the client gave up waiting for",
        Cause::ClientAbort => "clients that went away during an answer",
        Cause::Refused => "connections that were refused",
        Cause::ConnectTimeout => "connections that were never answered",
        Cause::UnsolicitedResponse => "answers that nobody had asked for, met by a request",
        Cause::Goaway => "HTTP/2 requests behind a GOAWAY",
        Cause::Unknown => "requests without an answer for any other reason",
    }
}
